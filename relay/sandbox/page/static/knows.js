// What relay knows of one incident, from its own GET /incidents/{id}: where its cards are, and from the newest on which
// shares came, what was decided and why, and what Slack answered. Everything is shown as text.

"use strict";

const knows = (() => {
  const { make, date } = drawing;
  const SECONDS = "{time_secs}";

  const list = (value) => (Array.isArray(value) ? value : []);
  const words = (value) => list(value).join(", ");

  /** The panel's contents. `names` tells channels by id. */
  function draw(told, names) {
    const moments = [...shares(told), ...calls(told, names), ...attempts(told, names)].sort((one, other) => other.at - one.at || other.rank - one.rank);
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
        pinged: words(card.pinged),
        reason: card.reason,
        notices: list(card.notices).map(noted).join(", "),
        ts: card.ts,
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
    return make("dl", "facts", ...rows.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", String(value))]));
  }

  function shares(told) {
    return list(told.shares).map((share) => {
      const decided = share.decided ?? {};
      const outcome = String(share.outcome ?? decided.outcome ?? "").replaceAll("_", " ");
      const taken = words(share.routes?.length ? share.routes : decided.routes);
      const why = [
        list(decided.told).length ? `to be told: ${words(decided.told)}` : null,
        taken ? `taken by ${taken}` : "taken by no route",
        list(decided.dropped).length ? `dropped by ${words(decided.dropped)}` : null,
        share.times_seen > 1 ? `seen ${share.times_seen} times` : null,
      ].filter(Boolean);
      return {
        at: share.received,
        rank: 0,
        className: "share",
        parts: [make("b", "", `share ${share.id}: ${outcome}`), decided.state ? `, ${decided.state}` : "", make("div", "why", why.join(" · "))],
      };
    });
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

  return { draw };
})();
