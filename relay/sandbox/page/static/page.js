// The page: listens to what changes, and draws the channel that is open. State lives here, `drawing` draws.

"use strict";

{
  const { make, world } = drawing;
  const find = (id) => document.getElementById(id);

  const channels = new Map(); // id -> Map of ts -> message
  const opened = new Set(); // threads that stand open: channel + ts
  const unread = new Map(); // id -> how many messages came while another channel was open
  let frame = { list: [], people: [], channels: {}, caption: "", relay: false };
  let here = null; // the open channel
  let chosen = null; // the incident that the panel is about
  let known = null; // what relay last told of it
  let first = true; // nothing is new in what stood there when the page was opened

  const key = (message) => `${message.channel}/${message.ts}`;
  const byTime = (one, other) => (one.ts.length - other.ts.length) || (one.ts < other.ts ? -1 : 1);

  // --- what comes in ---

  const events = new EventSource("/events");
  events.addEventListener("open", () => {
    channels.clear();
    hands.views([]);
    first = true;
    find("link").className = "live";
  });
  events.addEventListener("error", () => (find("link").className = ""));
  events.addEventListener("frame", ({ data }) => {
    frame = JSON.parse(data);
    Object.assign(world, { channels: frame.channels, users: frame.users, groups: frame.groups });
    here ??= location.hash.slice(1) in frame.channels ? location.hash.slice(1) : (frame.list[0]?.id ?? null);
    find("paste").hidden = !frame.relay;
    hands.people(frame.people);
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
    if (fresh.some((message) => message.incident === chosen)) ask();
  });
  events.addEventListener("gone", ({ data }) => {
    for (const [channel, ts] of JSON.parse(data)) channels.get(channel)?.delete(ts);
    show();
  });

  events.addEventListener("views", ({ data }) => hands.views(JSON.parse(data)));
  hands.changed(() => show());

  const isForMe = (message) => !message.to || message.to === hands.me();

  // --- the channel ---

  function show(fresh = []) {
    showChannels();
    find("name").textContent = here ? `# ${frame.channels[here]}` : "";
    find("caption").textContent = frame.caption;
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
    hands.undisturbed(() => {
      const drawn = drawing.channel(messages, {
        isOpen: (message) => opened.has(key(message)),
        toggled: (message, open) => (open ? opened.add(key(message)) : opened.delete(key(message))),
        composer: (message) => (message.to || message.deleted ? null : hands.composer(message, frame.channels[here])),
      });
      box.replaceChildren(...(drawn.length ? drawn : [make("p", "empty", "Nothing has been said here yet.")]));
    });
    for (const element of box.querySelectorAll(".message")) {
      if (fresh.has(`${here}/${element.dataset.ts}`)) element.classList.add("fresh");
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
    const pressed = target.closest("[data-action]");
    if (pressed) hands.press(pressed, here, pressed.closest(".message").dataset.ts);
    if (target.closest("a, button, summary, .replies")) return;
    const message = target.closest(".message[data-incident]");
    if (message) choose(message.dataset.incident);
  });

  // --- what relay knows ---

  function choose(incident) {
    chosen = incident;
    known = null;
    find("knows").classList.add("open");
    showKnown();
    showMessages(new Set());
    ask();
  }

  async function ask() {
    const asked = chosen;
    if (asked === null) return;
    if (!frame.relay) {
      known = { detail: "No relay stands behind this page: start it with one, and it tells here what it knows." };
      return showKnown();
    }
    const answer = await fetch(`/incidents/${encodeURIComponent(asked)}`).catch(() => null);
    const told = await answer?.json().catch(() => null);
    if (asked !== chosen) return;
    known = answer?.ok && told ? told : { detail: told?.detail ?? "relay does not answer." };
    showKnown();
  }

  function showKnown() {
    const told = find("told");
    if (chosen === null) {
      told.replaceChildren(make("p", "empty", "Choose a message to see what relay knows of its incident, and why it did what it did."));
    } else {
      const body = known === null ? [make("p", "empty", "…")] : known.detail && !known.shares ? [make("p", "empty", known.detail)] : knows.draw(known, frame.channels);
      told.replaceChildren(make("div", "id mono", `incident ${chosen}`), ...body);
    }
  }

  find("told").addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-ts]");
    if (!button) return;
    find("knows").classList.remove("open");
    open(button.dataset.channel);
    find("messages").querySelector(`:scope > [data-ts="${CSS.escape(button.dataset.ts)}"]`)?.scrollIntoView({ block: "start" });
  });

  find("close").addEventListener("click", () => find("knows").classList.remove("open"));

  // --- a share of one's own ---

  find("paste").addEventListener("click", () => {
    find("answer").textContent = "";
    find("share").showModal();
  });

  find("sample").addEventListener("click", async () => {
    find("body").value = await (await fetch("/sample")).text();
  });

  find("send").addEventListener("click", async () => {
    const answer = await fetch("/shares", { method: "POST", body: find("body").value, headers: { "Content-Type": "application/json" } });
    const told = await answer.json().catch(() => ({}));
    const output = find("answer");
    output.className = answer.ok ? "good" : "bad";
    if (answer.ok) {
      const routes = told.routes?.length ? `taken by ${told.routes.join(", ")}` : "taken by no route: the fallback has it";
      output.textContent = `Kept as share ${told.share} of incident ${told.incident}, ${routes}.`;
      choose(told.incident);
    } else {
      output.textContent = `${answer.status} ${told.title ?? ""}: ${told.detail ?? "not taken"}`;
    }
  });

  showKnown();
  setInterval(() => {
    drawing.refreshDates(document);
    if (chosen !== null) ask();
  }, 10_000);
}
