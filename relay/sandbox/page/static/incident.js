// What relay knows of one incident, from its own GET /incidents/{id}: where its cards are, and from the newest on which
// shares came, what was decided and why, and what Slack answered. Everything is shown as text.

"use strict";

const knows = (() => {
  const { make, date, called } = drawing;
  const SECONDS = "{time_secs}";

  const list = (value) => (Array.isArray(value) ? value : []);
  const words = (value) => list(value).join(", ");

  /** The panel's contents. `names` tells channels by id. */
  function draw(told, names) {
    const moments = [...shares(told, names), ...calls(told, names), ...attempts(told, names), ...errands(told)].sort((one, other) => other.at - one.at || other.rank - one.rank);
    return [
      ...cards(told, names),
      make("h3", "", "What happened, and what was decided (newest first)"),
      make("ol", "line", ...moments.map(({ at, className, parts }) => make("li", className, date(Math.floor(at), SECONDS, ""), ...parts))),
    ];
  }

  const channelOf = (card, names) => {
    const name = names[card?.slack_channel] ?? names[card?.channel];
    return name ? `#${name}` : (card?.channel ?? "");
  };

  /** What is kept by card, as [card, each]. */
  function byCard(told, kept) {
    const found = new Map(list(told.cards).map((card) => [String(card.id), card]));
    return Object.entries(kept ?? {}).flatMap(([id, all]) => list(all).map((each) => [found.get(id), each]));
  }

  function cards(told, names) {
    return list(told.cards).flatMap((card) => {
      const facts = {
        route: card.route || "none took it: the fallback",
        episode: card.episode > 1 ? card.episode : null,
        template: card.options?.template,
        pinged: list(card.pinged).map(called).join(" "),
        reason: card.reason,
        notices: list(card.notices).map(noted).join(", "),
        message: card.ts ? jump(card) : null,
      };
      return [make("h3", "", `Card in ${channelOf(card, names)}: ${String(card.state).replaceAll("_", " ")}`), table(facts)];
    });
  }

  /** `from|REF|NAME|WHY` is a card that stands in for another; the other notices are words already. */
  function noted(notice) {
    const [kind, , name, why] = String(notice).split("|");
    return kind === "from" && name ? `in place of ${name}: ${why}` : kind.replaceAll("_", " ");
  }

  function table(facts) {
    const rows = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return make("dl", "facts", ...rows.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value instanceof Node ? value : String(value))]));
  }

  /** Shows the message itself; the page listens for it. */
  function jump(card) {
    const button = make("button", "jump", "show it");
    button.type = "button";
    button.title = `ts ${card.ts}`;
    Object.assign(button.dataset, { channel: card.slack_channel, ts: card.ts });
    return button;
  }

  /** What an entry says, in relay's own words, under the share that it came with (`relay.cards.diff`). */
  function entriesOf(share, told) {
    const own = list(told.entries).filter((entry) => String(entry.key).includes(`:${share.hash}:`));
    return own.map((entry) => make("div", "said", list(told.words?.[entry.seq]).join("\n") || String(entry.kind)));
  }

  /** Which card is new by it, and why there. */
  function newCards(decided, names) {
    return list(decided.cards)
      .filter((card) => card.new)
      .map((card) => `new card in ${channelOf(card, names)} by ${card.route ? `route ${card.route}` : "the fallback"}`);
  }

  function shares(told, names) {
    return list(told.shares).map((share) => {
      const decided = share.decided ?? {};
      const outcome = String(share.outcome ?? decided.outcome ?? "").replaceAll("_", " ");
      const taken = words(share.routes?.length ? share.routes : decided.routes);
      const why = [
        taken ? `taken by ${taken}` : "taken by no route",
        ...newCards(decided, names),
        list(decided.dropped).length ? `dropped by ${words(decided.dropped)}` : null,
        share.times_seen > 1 ? `seen ${share.times_seen} times` : null,
      ].filter(Boolean);
      return {
        at: share.received,
        rank: 0,
        className: "share",
        parts: [make("b", "", `share ${share.id}: ${outcome}`), decided.state ? `, ${decided.state}` : "", ...entriesOf(share, told), make("div", "why", why.join(" · "))],
      };
    });
  }

  /** What was posted, and who was pinged: a card has one open attempt at a time, so it is the one that was begun last. */
  function posted(told, card, call) {
    if (call.method !== "chat.postMessage") return "";
    const begun = list(told.attempts?.[card?.id]).filter((attempt) => attempt.started <= call.at);
    const last = begun.sort((one, other) => one.started - other.started).at(-1);
    if (!last) return "";
    const root = last.what === "root";
    const pinging = list(last.targets).map(called).join(" ");
    const why = root ? "" : last.words?.reopening ? " since it is back" : ` since it rose to ${last.words?.worst}`;
    return ` · ${root ? "the card" : "a reply"}${pinging ? `, pinging ${pinging}${why}` : ""}`;
  }

  function calls(told, names) {
    return byCard(told, told.calls).map(([card, call]) => {
      const answer = call.answer ?? {};
      const good = answer.answer === "Delivered" || answer.ok === true;
      const detail = ["code", "reason", "remedy", "needed", "retry_after", "detail"]
        .filter((name) => answer[name] !== undefined && answer[name] !== null && !(good && name === "reason"))
        .map((name) => `${name.replaceAll("_", " ")}: ${answer[name]}`);
      return {
        at: call.at,
        rank: 1,
        className: good ? "good" : "bad",
        parts: [
          make("span", "mono", String(call.method)),
          ` in ${channelOf(card, names)} → ${good ? "ok" : String(answer.answer ?? answer.error ?? "no answer").toLowerCase()}`,
          make("span", "why", posted(told, card, call)),
          detail.length ? make("div", "why", detail.join(" · ")) : null,
        ].filter(Boolean),
      };
    });
  }

  /** Those that are settled are told by their calls; the others wait for something. */
  function attempts(told, names) {
    const open = byCard(told, told.attempts).filter(([, attempt]) => !["done", "dropped"].includes(attempt.state));
    return open.map(([card, attempt]) => {
      const state = String(attempt.state).replaceAll("_", " ");
      const tries = attempt.tries > 1 ? `, tried ${attempt.tries} times` : "";
      return {
        at: attempt.started,
        rank: 2,
        className: "bad",
        parts: [make("b", "", `${attempt.what} in ${channelOf(card, names)}: ${state}`), tries],
      };
    });
  }

  const ERRANDS = { callback: "BigPanda is told that the card exists", reply: "a reply becomes a comment", check: "BigPanda is asked how it stands" };

  /** What BigPanda is told or asked: for whom, and what came of it. */
  function errands(told) {
    return list(told.errands).map((errand) => {
      const payload = errand.payload ?? {};
      const who = payload.name || payload.user;
      const state = String(errand.state).replaceAll("_", " ");
      return {
        at: errand.created,
        rank: 0,
        className: ["done", "waiting", "trying"].includes(errand.state) ? "good" : "bad",
        parts: [
          make("span", "mono", ERRANDS[errand.kind] ?? String(errand.kind)),
          ` → ${state}`,
          make("span", "why", `${who ? ` · by ${who}` : ""}${errand.reason ? ` · ${String(errand.reason).replaceAll("_", " ")}` : ""}`),
        ],
      };
    });
  }

  return { draw };
})();
