// The page: listens to changes, and draws the open channel. The state is here; `drawing` draws.

"use strict";

{
  const { make, world } = drawing;
  const find = (id) => document.getElementById(id);

  const channels = new Map(); // id -> Map of ts -> message
  const opened = new Set(); // open threads: channel + ts
  const unread = new Map(); // channel id -> number of new messages since it was open
  let frame = { list: [], people: [], channels: {}, caption: "", relay: false };
  let here = null; // the open channel
  let chosen = null; // the incident that the panel shows
  let known = null; // the last answer of relay about it
  let explained = null; // its shares with their routes, from relay
  let unfolded = new Map(); // what the reader has folded (false) or unfolded (true) in the panel
  let first = true; // messages that are there when the page opens are not new

  const key = (message) => `${message.channel}/${message.ts}`;
  const byTime = (one, other) => (one.ts.length - other.ts.length) || (one.ts < other.ts ? -1 : 1);

  // --- events ---

  const events = new EventSource("/events");
  events.addEventListener("open", () => {
    channels.clear();
    interactions.reconnected();
    first = true;
    find("link").className = "live";
  });
  events.addEventListener("error", () => (find("link").className = ""));
  events.addEventListener("frame", ({ data }) => {
    frame = JSON.parse(data);
    Object.assign(world, { channels: frame.channels, users: frame.users, groups: frame.groups });
    here ??= location.hash.slice(1) in frame.channels ? location.hash.slice(1) : (frame.list[0]?.id ?? null);
    find("paste").hidden = !frame.relay;
    find("replay").hidden = !frame.replay;
    interactions.setPeople(frame.people);
    interactions.setCommands(frame);
    show();
  });
  events.addEventListener("messages", ({ data }) => {
    const fresh = JSON.parse(data);
    for (const message of fresh) {
      const messages = channels.get(message.channel) ?? new Map();
      const isNew = !messages.has(message.ts);
      channels.set(message.channel, messages.set(message.ts, message));
      if (isNew && !first && message.channel !== here && isForMe(message)) unread.set(message.channel, (unread.get(message.channel) ?? 0) + 1);
    }
    show(first ? [] : fresh);
    first = false;
    if (fresh.some((message) => message.incident === chosen)) loadIncident();
  });
  events.addEventListener("gone", ({ data }) => {
    for (const [channel, ts] of JSON.parse(data)) channels.get(channel)?.delete(ts);
    show();
  });

  events.addEventListener("views", ({ data }) => interactions.setViews(JSON.parse(data)));
  interactions.onUserChange(() => show());

  const isForMe = (message) => !message.to || message.to === interactions.me();

  // --- the channel ---

  function show(fresh = []) {
    showChannels();
    find("name").textContent = here ? `# ${frame.channels[here]}` : "";
    find("caption").textContent = frame.caption;
    find("board").hidden = !frame.board;
    if (frame.board) find("board").href = frame.board;
    document.title = `relay sandbox${here ? ` · #${frame.channels[here]}` : ""}`;
    showMessages(new Set(fresh.map(key)));
  }

  function showChannels() {
    const entry = ({ id, name, archived }) => {
      const button = make("button", unread.get(id) ? "unread" : "", `# ${name}${archived ? " (archived)" : ""}`);
      button.type = "button";
      button.dataset.channel = id;
      button.setAttribute("aria-current", String(id === here));
      if (unread.get(id)) button.append(make("span", "badge", String(unread.get(id))));
      return make("li", "", button);
    };
    find("channels").replaceChildren(...frame.list.map(entry));
  }

  function showMessages(fresh) {
    const box = find("messages");
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
    const messages = [...(channels.get(here)?.values() ?? [])].filter(isForMe).sort(byTime);
    const top = box.scrollTop;
    interactions.keepCursor(() => {
      const drawn = drawing.channel(messages, {
        isOpen: (message) => opened.has(key(message)),
        toggled: (message, open) => (open ? opened.add(key(message)) : opened.delete(key(message))),
        composer: (message) => (message.to || message.deleted ? null : interactions.composer(message, frame.channels[here])),
      });
      box.replaceChildren(...(drawn.length ? drawn : [make("p", "empty", "No messages yet.")]));
    });
    for (const element of box.querySelectorAll(".message")) {
      if (fresh.has(`${here}/${element.dataset.ts}`)) element.classList.add("fresh");
      if (!element.querySelector(":scope > .ephemeral")) element.querySelector(".head")?.append(interactions.shortcut(here, element.dataset.ts) ?? "");
      if (element.parentElement === box && chosen !== null && element.dataset.incident === chosen) element.classList.add("chosen");
    }
    box.scrollTop = atEnd ? box.scrollHeight : top;
  }

  function open(channel) {
    here = channel;
    unread.delete(channel);
    history.replaceState(null, "", `#${channel}`);
    show();
    find("messages").scrollTop = find("messages").scrollHeight;
    find("channels").querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  find("channels").addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-channel]");
    if (button) open(button.dataset.channel);
  });

  find("messages").addEventListener("click", ({ target }) => {
    const clicked = target.closest("[data-action]");
    if (clicked) interactions.click(clicked, here, clicked.closest(".message").dataset.ts);
    if (target.closest("a, button, summary, .replies")) return;
    const message = target.closest(".message[data-incident]");
    if (message) choose(message.dataset.incident);
  });

  find("command").addEventListener("submit", (event) => {
    event.preventDefault();
    interactions.sendCommand(here);
  });

  // --- the incident panel ---

  function choose(incident) {
    if (incident !== chosen) {
      chosen = incident;
      known = explained = null;
      unfolded = new Map();
    }
    find("details").classList.add("open");
    showKnown();
    showMessages(new Set());
    loadIncident();
  }

  async function loadIncident() {
    const requested = chosen;
    if (requested === null) return;
    if (!frame.relay) {
      known = { detail: "This page is not connected to a relay. Start it with one to see the history of incidents." };
      return showKnown();
    }
    const path = `/incidents/${encodeURIComponent(requested)}`;
    const [[answer, incident], [, shares]] = await Promise.all([read(path), read(`${path}/shares`)]);
    if (requested !== chosen) return;
    known = answer?.ok && incident ? incident : { detail: incident?.detail ?? "relay does not answer." };
    explained = shares;
    showKnown();
  }

  async function read(path) {
    const answer = await fetch(path).catch(() => null);
    return [answer, await answer?.json().catch(() => null)];
  }

  function showKnown() {
    const history = find("history");
    if (chosen === null) {
      history.replaceChildren(make("p", "empty", "Select a message: here you see why relay posted it."));
    } else {
      const body = known === null ? [make("p", "empty", "…")] : known.detail && !known.shares ? [make("p", "empty", known.detail)] : incidents.draw(known, explained, frame.channels, unfolded);
      history.replaceChildren(make("div", "id mono", `incident ${chosen}`), ...body);
    }
  }

  find("history").addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-ts]");
    if (!button) return;
    find("details").classList.remove("open");
    open(button.dataset.channel);
    find("messages").querySelector(`:scope > [data-ts="${CSS.escape(button.dataset.ts)}"]`)?.scrollIntoView({ block: "start" });
  });

  // `toggle` does not bubble, but it can be captured.
  find("history").addEventListener("toggle", ({ target }) => unfolded.set(target.dataset.fold, target.open), true);

  find("close").addEventListener("click", () => find("details").classList.remove("open"));

  find("replay").addEventListener("click", () => fetch("/replay", { method: "POST", headers: { "Content-Type": "application/json" } }));

  // --- pasting a share ---

  find("paste").addEventListener("click", () => {
    find("answer").textContent = "";
    find("share").showModal();
  });

  find("sample").addEventListener("click", async () => {
    find("body").value = await (await fetch("/sample")).text();
  });

  find("send").addEventListener("click", async () => {
    const answer = await fetch("/shares", { method: "POST", body: find("body").value, headers: { "Content-Type": "application/json" } });
    const result = await answer.json().catch(() => ({}));
    const output = find("answer");
    output.className = answer.ok ? "good" : "bad";
    if (answer.ok) {
      const routes = result.routes?.length ? `matched ${result.routes.join(", ")}` : "no route matched: it goes to the fallback";
      output.textContent = `Stored as share ${result.share} of incident ${result.incident}; ${routes}.`;
      choose(result.incident);
    } else {
      output.textContent = `${answer.status} ${result.title ?? ""}: ${result.detail ?? "rejected"}`;
    }
  });

  showKnown();
  setInterval(() => {
    drawing.refreshDates(document);
    if (chosen !== null) loadIncident();
  }, 10_000);
}
