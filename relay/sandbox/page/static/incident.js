// The history of one incident, from relay's GET /incidents/{id}: its cards, and newest first its shares, what was decided
// and why, and Slack's answers. All of it is shown as text.

"use strict";

const incidents = (() => {
  const { make, date, mentionOf } = drawing;

  const list = (value) => (Array.isArray(value) ? value : []);
  const joined = (value) => list(value).join(", ");
  const spaced = (value) => String(value ?? "").replaceAll("_", " ");

  /** The contents of the panel. `names` are channel names by id. */
  function draw(incident, names) {
    const moments = [...shares(incident, names), ...calls(incident, names), ...attempts(incident, names), ...tasks(incident)];
    moments.sort((one, other) => other.at - one.at || other.rank - one.rank);
    return [
      ...cards(incident, names),
      make("h3", "", "What happened, and what relay decided (newest first)"),
      make("ol", "timeline", ...moments.map(({ at, className, parts }) => make("li", className, date(Math.floor(at), "{time_secs}", ""), ...parts))),
    ];
  }

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
        route: card.route || "no route matched: the fallback",
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

  /** The texts of the entries that came with a share (`relay.cards.diff`). */
  function entriesOf(share, incident) {
    const own = list(incident.entries).filter((entry) => String(entry.key).includes(`:${share.hash}:`));
    return own.map((entry) => make("div", "entry", list(incident.words?.[entry.seq]).join("\n") || String(entry.kind)));
  }

  function newCards(decision, names) {
    return list(decision.cards)
      .filter((card) => card.new)
      .map((card) => `new card in ${channelOf(card, names)} by ${card.route ? `route ${card.route}` : "the fallback"}`);
  }

  function shares(incident, names) {
    return list(incident.shares).map((share) => {
      const decision = share.decision ?? {};
      const routes = joined(share.routes?.length ? share.routes : decision.routes);
      const why = [
        routes ? `matched ${routes}` : "no route matched",
        ...newCards(decision, names),
        list(decision.dropped).length ? `dropped by ${joined(decision.dropped)}` : null,
        share.times_seen > 1 ? `received ${share.times_seen} times` : null,
      ].filter(Boolean);
      return {
        at: share.received,
        rank: 0,
        className: "share",
        parts: [
          make("b", "", `share ${share.id}: ${spaced(share.outcome ?? decision.outcome)}`),
          decision.state ? `, ${decision.state}` : "",
          ...entriesOf(share, incident),
          make("div", "why", why.join(" · ")),
        ],
      };
    });
  }

  /** What a post was, and whom it pinged: a card has one open attempt at a time, so it is the newest one before the call. */
  function postText(incident, card, call) {
    if (call.method !== "chat.postMessage") return "";
    const started = list(incident.attempts?.[card?.id]).filter((attempt) => attempt.started_at <= call.at);
    const last = started.sort((one, other) => one.started_at - other.started_at).at(-1);
    if (!last) return "";
    const root = last.kind === "root";
    const targets = list(last.targets).map(mentionOf).join(" ");
    const why = root ? "" : last.data?.reopening ? " since it reopened" : ` since it rose to ${last.data?.worst}`;
    return ` · ${root ? "the card" : "a reply"}${targets ? `, pinging ${targets}${why}` : ""}`;
  }

  function calls(incident, names) {
    return byCard(incident, incident.calls).map(([card, call]) => {
      const answer = call.answer ?? {};
      const good = answer.answer === "Delivered" || answer.ok === true;
      const detail = ["code", "reason", "remedy", "needed", "retry_after", "detail"]
        .filter((name) => answer[name] !== undefined && answer[name] !== null && !(good && name === "reason"))
        .map((name) => `${spaced(name)}: ${answer[name]}`);
      return {
        at: call.at,
        rank: 1,
        className: good ? "good" : "bad",
        parts: [
          make("span", "mono", String(call.method)),
          ` in ${channelOf(card, names)} → ${good ? "ok" : String(answer.answer ?? answer.error ?? "no answer").toLowerCase()}`,
          make("span", "why", postText(incident, card, call)),
          detail.length ? make("div", "why", detail.join(" · ")) : null,
        ].filter(Boolean),
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

  const TASKS = { callback: "report the card to BigPanda", reply: "add a reply as a comment", check: "ask BigPanda for the state" };

  /** The tasks for BigPanda: for whom, and with which result. */
  function tasks(incident) {
    return list(incident.bigpanda_tasks).map((task) => {
      const who = task.payload?.name || task.payload?.user;
      return {
        at: task.created,
        rank: 0,
        className: ["done", "waiting", "in_flight"].includes(task.state) ? "good" : "bad",
        parts: [
          make("span", "mono", TASKS[task.kind] ?? String(task.kind)),
          ` → ${spaced(task.state)}`,
          make("span", "why", `${who ? ` · by ${who}` : ""}${task.reason ? ` · ${spaced(task.reason)}` : ""}`),
        ],
      };
    });
  }

  return { draw };
})();
