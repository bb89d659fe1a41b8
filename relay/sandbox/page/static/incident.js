// One incident as relay knows it: its cards; then each share, newest first, with the routes that matched it and why (from
// relay's GET /incidents/{id}/shares), and what followed from it (from GET /incidents/{id}); last, what is still to come.
// All of it is shown as text.

"use strict";

const incidents = (() => {
  const { make, date, mentionOf } = drawing;

  const list = (value) => (Array.isArray(value) ? value : []);
  const joined = (value) => list(value).join(", ");
  const spaced = (value) => String(value ?? "").replaceAll("_", " ");
  const time = (at) => date(Math.floor(at), "{time_secs}", "");

  /**
   * The contents of the panel. `explained` are the shares with their routes, `names` channel names by id, and `unfolded`
   * what the reader has folded (false) or unfolded (true), by the key that is in its `data-fold`.
   */
  function draw(incident, explained, names, unfolded) {
    const trees = new Map(list(explained?.shares).map((share) => [share.id, list(share.tree)]));
    const groups = grouped(list(incident.shares), [...calls(incident, names), ...attempts(incident, names), ...tasks(incident)]);
    const coming = plans(incident, names).sort((one, other) => one.at - other.at);
    const newest = groups.at(-1)?.share.id;
    const isOpen = (key) => unfolded.get(key) ?? key === `routes ${newest}`;
    return [
      ...cards(incident, names),
      make("h3", "", "What happened, newest first"),
      ...groups.reverse().map(({ share, following }) => group(incident, share, trees.get(share.id), isOpen, following, names)),
      ...(coming.length ? [make("h3", "", "Still to come"), make("ol", "timeline", ...coming.map(item))] : []),
    ];
  }

  /** Each share with what followed from it: everything until the next share, in the order in which it happened. */
  function grouped(all, events) {
    const sorted = [...events].sort((one, other) => one.at - other.at || one.rank - other.rank);
    const end = (number) => all[number + 1]?.received ?? Infinity;
    return all.map((share, number) => ({
      share,
      following: sorted.filter(({ at }) => (number === 0 || at >= share.received) && at < end(number)),
    }));
  }

  const item = ({ at, className, parts }) => make("li", className, time(at), ...parts);

  const channelOf = (card, names) => {
    const name = names[card?.slack_channel] ?? names[card?.channel];
    return name ? `#${name}` : (card?.channel ?? "");
  };

  /** The values of an object that is keyed by card ids, as [card, value]. */
  function byCard(incident, values) {
    const found = new Map(list(incident.cards).map((card) => [String(card.id), card]));
    return Object.entries(values ?? {}).flatMap(([id, all]) => list(all).map((each) => [found.get(id), each]));
  }

  function cards(incident, names) {
    return list(incident.cards).flatMap((card) => {
      const facts = {
        route: card.route || "none matched: the fallback",
        episode: card.episode > 1 ? card.episode : null,
        template: card.options?.template,
        pinged: list(card.pinged).map(mentionOf).join(" "),
        reason: card.reason,
        notices: list(card.notices).map(noticeText).join(", "),
        message: card.ts ? jumpButton(card) : null,
      };
      return [make("h3", "", `Card in ${channelOf(card, names)}: ${spaced(card.state)}`), table(facts)];
    });
  }

  /** `from|REF|NAME|WHY` is a card in place of another; the other notices are words already. */
  function noticeText(notice) {
    const [kind, , name, why] = String(notice).split("|");
    return kind === "from" && name ? `in place of ${name}: ${why}` : spaced(kind);
  }

  function table(facts) {
    const rows = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return make("dl", "facts", ...rows.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value instanceof Node ? value : String(value))]));
  }

  /** Shows the message itself; the page handles the click. */
  function jumpButton(card) {
    const button = make("button", "jump", "show it");
    button.type = "button";
    button.title = `ts ${card.ts}`;
    Object.assign(button.dataset, { channel: card.slack_channel, ts: card.ts });
    return button;
  }

  // --- a share: what it says, which routes match it, what follows ---

  function group(incident, share, tree, isOpen, following, names) {
    const decision = share.decision ?? {};
    const times = share.times_seen > 1 ? `, received ${share.times_seen} times` : "";
    return make(
      "section",
      "share",
      make("h4", "", time(share.received), make("b", "", `Share ${share.id}`), `: ${[spaced(share.outcome ?? decision.outcome), decision.state].filter(Boolean).join(", ")}${times}`),
      ...entriesOf(share, incident),
      routes(share, tree, isOpen),
      ...newCards(decision, names).map((text) => make("div", "why", text)),
      following.length ? make("ol", "timeline", ...following.map(item)) : null,
    );
  }

  /** The texts of the entries that came with a share (`relay.cards.diff`). */
  function entriesOf(share, incident) {
    const own = list(incident.entries).filter((entry) => String(entry.key).includes(`:${share.hash}:`));
    return own.map((entry) => make("div", "entry", list(incident.words?.[entry.seq]).join("\n") || String(entry.kind)));
  }

  function newCards(decision, names) {
    const dropped = list(decision.dropped).length ? [`dropped by ${joined(decision.dropped)}`] : [];
    const made = list(decision.cards)
      .filter((card) => card.new)
      .map((card) => `new card in ${channelOf(card, names)} by ${card.route ? `route ${card.route}` : "the fallback"}`);
    return [...dropped, ...made];
  }

  /** Which routes match, and as its details every route with its conditions and the values that they saw. */
  function routes(share, tree, isOpen) {
    const matched = list(share.routes?.length ? share.routes : share.decision?.routes);
    const summary = matched.length ? `Matched by ${joined(matched)}` : "No route matched";
    if (!tree) return make("div", "why", summary);
    const others = tree.filter((each) => !MATCHED.has(each.outcome));
    const folds = others.length > MOST_OTHERS;
    const shown = folds ? tree.filter((each) => MATCHED.has(each.outcome)) : tree;
    const rest = folds ? make("details", "others", make("summary", "", `${others.length} other routes, and why they do not match`), ...others.map(route)) : null;
    if (rest) foldable(rest, `others ${share.id}`, isOpen);
    const drawn = make("details", "routes", make("summary", "", summary), ...shown.map(route), rest);
    return foldable(drawn, `routes ${share.id}`, isOpen);
  }

  /** Folds as the reader has left it; the page remembers it by the key. */
  function foldable(details, key, isOpen) {
    details.open = isOpen(key);
    details.dataset.fold = key;
    return details;
  }

  const MOST_VALUES = 5; // of a tag; the others are counted
  const MOST_OTHERS = 4; // routes without a match; more of them are folded
  const MATCHED = new Set(["matched", "dropped", "child_matched"]);
  const MARKS = { no_match: "✗", no_child_matched: "✗" };

  function route({ route: name, outcome, depth, conditions }) {
    const matches = MATCHED.has(outcome);
    const title = make("div", matches ? "matches" : "", mark(matches ? "✓" : (MARKS[outcome] ?? "–")), make("b", "", name), `: ${spaced(outcome)}${matches && !conditions.length ? ", since it has no conditions" : ''}`);
    const drawn = make("div", "route", title, ...conditions.flatMap((each) => condition(each, 1)));
    drawn.style.setProperty("--depth", String(depth));
    return drawn;
  }

  const mark = (text) => make("span", "mark", text);

  /** How the conditions read that consist of others, as in `relay explain`. */
  const COMBINATIONS = { any: "any of these", all: "all of these", not: "not all of these", match: "all of these" };

  /** A condition as a line; those that it consists of are indented. */
  function condition({ key, matched, expected, actual, parts }, depth) {
    if (key === "match" && list(parts).length === 1) return condition(parts[0], depth);
    const result = matched ? "matches" : "does not match";
    const combines = parts || (!expected && COMBINATIONS[key]);
    const text = combines ? `${COMBINATIONS[key]}: ${result}` : `${key}: ${expected} ${result} (${found(list(actual))})`;
    const line = make("div", `condition${matched ? " matches" : ""}`, mark(matched ? "✓" : "✗"), text);
    line.style.setProperty("--depth", String(depth));
    return [line, ...list(parts).flatMap((part) => condition(part, depth + 1))];
  }

  function found(actual) {
    if (!actual.length) return "it is absent";
    const more = actual.length - MOST_VALUES;
    return `it is ${actual.slice(0, MOST_VALUES).map((each) => `'${each}'`).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  }

  // --- what followed ---

  const POST = "chat.postMessage";
  const DONE = { "chat.update": "Edited the card in", "chat.delete": "Deleted a message in", "conversations.join": "Joined" };

  const isGood = (answer) => ["delivered", "read"].includes(answer?.answer);

  /** Why a reply pings, by the kind of its entry; any other is a rise, as in `relay incident`. */
  const PING_REASONS = { reopened: "the incident was reopened", assignment: "they had the incident" };

  /** What a post was, and whom it pinged: a card has one open attempt at a time, so it is the newest one before the call. */
  function postOf(incident, card, call) {
    const started = list(incident.attempts?.[card?.id]).filter((attempt) => attempt.started_at <= call.at);
    const last = started.sort((one, other) => one.started_at - other.started_at).at(-1);
    const root = (last?.kind ?? "root") === "root";
    const targets = list(last?.targets).map(mentionOf).join(" ");
    const kinds = root ? [] : list(last.data?.pings_for ?? ["status"]);
    const reasons = kinds.map((kind) => PING_REASONS[kind] ?? `it rose to ${last.data?.worst}`);
    const why = reasons.length ? ` because ${reasons.join(" and ")}` : "";
    return { what: root ? "Posted the card in" : "Replied in the thread in", pings: targets ? `, pinging ${targets}${why}` : "" };
  }

  function calls(incident, names) {
    return byCard(incident, incident.calls).map(([card, call]) => {
      const answer = call.answer ?? {};
      const good = isGood(answer);
      const { what, pings } = call.method === POST ? postOf(incident, card, call) : { what: DONE[call.method] ?? `${call.method} in`, pings: "" };
      const detail = ["code", "reason", "remedy", "needed", "retry_after", "detail"]
        .filter((name) => answer[name] !== undefined && answer[name] !== null && !(good && name === "reason"))
        .map((name) => `${spaced(name)}: ${answer[name]}`);
      const result = good ? pings : `: ${answer.answer ?? "no answer"}`;
      return {
        at: call.at,
        rank: 1,
        className: good ? "good" : "bad",
        parts: [`${what} ${channelOf(card, names)}${result}`, detail.length ? make("div", "why", detail.join(" · ")) : null].filter(Boolean),
      };
    });
  }

  /** Open attempts, which wait for something; the others are shown by their calls. */
  function attempts(incident, names) {
    const open = byCard(incident, incident.attempts).filter(([, attempt]) => !["done", "dropped"].includes(attempt.state));
    return open.map(([card, attempt]) => ({
      at: attempt.started_at,
      rank: 2,
      className: "bad",
      parts: [make("b", "", `${attempt.kind} in ${channelOf(card, names)}: ${spaced(attempt.state)}`), attempt.tries > 1 ? `, tried ${attempt.tries} times` : ""],
    }));
  }

  const CHECK = "Ask BigPanda for the state, if no update arrives before";
  const TASKS = { callback: "Report to BigPanda that the card exists", reply: "Copy a reply to BigPanda as a comment", check: "Ask BigPanda for the state" };
  const TASK_REASONS = { taken: "somebody else has the incident" };
  const GOOD = new Set(["done", "waiting", "in_flight"]);

  const isPlanned = (task) => task.kind === "check" && task.state === "waiting" && !task.tries;

  /** When the first card was posted, after which relay reports to BigPanda; 0 before. */
  function firstPost(incident) {
    const posts = Object.values(incident.calls ?? {}).flatMap(list).filter((call) => call.method === POST && isGood(call.answer));
    return posts.length ? Math.min(...posts.map((call) => call.at)) : 0;
  }

  /** The tasks for BigPanda: for whom, and with which result. */
  function tasks(incident) {
    return list(incident.bigpanda_tasks).filter((task) => !isPlanned(task)).map((task) => {
      const who = task.payload?.name || task.payload?.user;
      return {
        at: task.kind === "callback" ? Math.max(task.created, firstPost(incident)) : task.created,
        rank: 2,
        className: GOOD.has(task.state) ? "good" : "bad",
        parts: [`${TASKS[task.kind] ?? `BigPanda: ${spaced(task.kind)}`}${who ? ` by ${who}` : ""}: ${spaced(task.state)}`, task.reason ? make("div", "why", TASK_REASONS[task.reason] ?? spaced(task.reason)) : null].filter(Boolean),
      };
    });
  }

  // --- what is still to come ---

  /** Cards whose route waits, and the next look at BigPanda. */
  function plans(incident, names) {
    const plan = (at, text) => ({ at, className: "coming", parts: [text] });
    const posts = list(incident.cards).filter((card) => card.state === "pending" && card.post);
    const checks = list(incident.bigpanda_tasks).filter(isPlanned).map((task) => task.due_at ?? task.created);
    const stale = incident.state?.stale_at;
    return [
      ...posts.map((card) => plan(card.post.at, `Post the card in ${channelOf(card, names)}, if the incident is still open`)),
      ...[...checks, ...(stale ? [stale] : [])].map((at) => plan(at, CHECK)),
    ];
  }

  return { draw };
})();
