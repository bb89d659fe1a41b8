// What the reader does as a test user: clicks buttons, submits modals, replies in threads.
//
// Everything that a modal or an answer contains is shown as text. Requests go only to the page's own server.

"use strict";

const interactions = (() => {
  const { make } = drawing;
  const find = (id) => document.getElementById(id);
  const KEY = "relay-sandbox-me";
  const TOAST_TIME = 8_000; // ms

  let open = null; // the modal that is shown: {id, view, errors}
  let openViews = []; // the open modals of the workspace that were opened while this page was open
  let connecting = true; // no modals have come since the page connected
  const ownViews = new Set(); // ids of the modals that were opened while this page was open
  const strangeViews = new Set(); // ids of those that were open before, in another tab
  let userChanged = () => {}; // called when the reader acts as another user
  const composers = new Map(); // channel + ts of a root -> its reply form, with what is typed there
  let toastTimer = 0;

  // --- the user ---

  const me = () => find("me").value || null;

  function setPeople(people) {
    const chosen = me() ?? sessionStorage.getItem(KEY);
    find("me").replaceChildren(...people.map(({ id, name }) => Object.assign(make("option", "", name), { value: id })));
    if (people.some(({ id }) => id === chosen)) find("me").value = chosen;
    find("acting-as").hidden = !people.length;
    for (const composer of composers.values()) composer.hidden = !people.length;
    showView();
  }

  find("me").addEventListener("change", () => {
    sessionStorage.setItem(KEY, me());
    showView();
    userChanged();
  });

  // --- requests ---

  async function perform(action, options) {
    const body = JSON.stringify({ user: me(), ...options });
    const answer = await fetch(`/actions/${action}`, { method: "POST", body, headers: { "Content-Type": "application/json" } }).catch(() => null);
    const result = await answer?.json().catch(() => null);
    return { done: Boolean(answer?.ok), acknowledged: result?.acknowledged, reason: result?.reason || result?.detail || "the page's server does not answer" };
  }

  function toast(text) {
    find("toast").textContent = text;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => (find("toast").textContent = ""), TOAST_TIME);
  }

  // --- buttons ---

  async function click(button, channel, ts) {
    if (!me()) return toast("This workspace has no users who could click.");
    const { action, option, confirm } = button.dataset;
    if (confirm && !window.confirm(confirm)) return;
    const label = button.textContent;
    button.closest("details.menu")?.removeAttribute("open");
    button.setAttribute("aria-busy", "true");
    const answer = await perform("click", { channel, ts, action, ...(option ? { option } : {}) });
    button.removeAttribute("aria-busy");
    if (!answer.acknowledged) toast(`⚠ ${label}: ${answer.reason}.`);
  }

  // --- commands and shortcuts ---

  let commands = []; // the app's slash commands
  let shortcuts = []; // the callback ids of its shortcuts

  function setCommands(frame) {
    ({ commands = [], shortcuts = [] } = frame);
    find("command").hidden = !commands.length || !me();
    find("typed").placeholder = commands.length ? `${commands[0]} open` : "";
  }

  async function sendCommand(channel) {
    const text = find("typed").value.trim();
    if (!text) return;
    if (!text.startsWith("/")) return toast(`Type a command, such as ${commands[0]} open.`);
    scrollToEnd(); // where the answer appears
    const answer = await perform("command", { channel, text });
    if (answer.acknowledged) find("typed").value = "";
    else toast(`⚠ ${text}: ${answer.reason}.`);
  }

  const scrollToEnd = () => (find("messages").scrollTop = find("messages").scrollHeight);

  /** The app's shortcut, as an entry in the menu of a message; null where it has none. */
  function shortcut(channel, ts) {
    if (!shortcuts.length || !me()) return null;
    const button = Object.assign(make("button", "shortcut", "Why is this here?"), { type: "button" });
    button.addEventListener("click", async () => {
      if (!button.closest(".replies")) scrollToEnd();
      const answer = await perform("shortcut", { channel, ts });
      if (!answer.acknowledged) toast(`⚠ ${button.textContent} ${answer.reason}.`);
    });
    return button;
  }

  // --- replies ---

  function composer(root, channel) {
    const key = `${root.channel}/${root.ts}`;
    const form = composers.get(key) ?? makeComposer(root, channel);
    composers.set(key, form);
    return form.hidden ? null : form;
  }

  function makeComposer(root, channel) {
    const text = Object.assign(make("textarea"), { rows: 2, placeholder: "Reply…" });
    text.setAttribute("aria-label", "Reply in this thread");
    const also = Object.assign(make("input"), { type: "checkbox" });
    const send = Object.assign(make("button", "button primary", "Send"), { type: "submit" });
    const form = make("form", "composer", text, make("div", "", make("label", "", also, ` also send to #${channel}`), send));
    form.hidden = !me();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!text.value.trim()) return;
      const answer = await perform("reply", { channel: root.channel, thread: root.ts, text: text.value, broadcast: also.checked });
      if (!answer.done) return toast(`⚠ Not sent: ${answer.reason}.`);
      if (answer.acknowledged === false) toast(`⚠ Sent, but the app did not receive it: ${answer.reason}.`);
      text.value = "";
      also.checked = false;
    });
    return form;
  }

  /** Redraw the messages around the reply forms and keep the cursor. */
  function keepCursor(redraw) {
    const at = document.activeElement;
    const range = at instanceof HTMLTextAreaElement ? [at.selectionStart, at.selectionEnd] : null;
    redraw();
    if (!range || document.activeElement === at || !at.isConnected) return;
    at.focus({ preventScroll: true });
    at.setSelectionRange(...range);
  }

  // --- modals ---

  /** The next views that come may include some that were opened before this page, which it does not show. */
  function reconnected() {
    connecting = true;
  }

  function setViews(views) {
    const isOwn = ({ id }) => ownViews.has(id) || (!connecting && !strangeViews.has(id));
    for (const view of views) (isOwn(view) ? ownViews : strangeViews).add(view.id);
    connecting = false;
    openViews = views.filter(({ id }) => ownViews.has(id));
    showView();
  }

  function showView() {
    const mine = openViews.filter(({ user }) => user === me()).at(-1) ?? null;
    if (mine === null) {
      open = null;
      find("modal").close();
      return;
    }
    const same = open?.id === mine.id && JSON.stringify(open.view) === JSON.stringify(mine.view);
    open = mine;
    if (!same) drawView(mine.view);
    showErrors(mine.errors);
    find("submit").disabled = false;
    if (!find("modal").open) find("modal").showModal();
  }

  function drawView(view) {
    find("modal-title").textContent = view.title?.text ?? "";
    find("submit").textContent = view.submit?.text ?? "Submit";
    find("submit").hidden = !view.submit;
    find("cancel").textContent = view.close?.text ?? "Cancel";
    find("inputs").replaceChildren(...(view.blocks ?? []).flatMap((block) => (block.type === "input" ? [input(block)] : drawing.blocks([block]))));
    find("inputs").querySelector("[data-focus]")?.focus();
  }

  function input(block) {
    const { element } = block;
    const isGroup = element.type in CHOICES;
    const label = make("span", "label", block.label?.text ?? "", block.optional ? make("span", "optional", " (optional)") : null);
    const controls = isGroup ? choices(block) : (INPUTS[element.type] ?? textInput)(element);
    const field = make(isGroup ? "fieldset" : "label", "input", isGroup ? make("legend", "", label) : label, ...controls);
    field.dataset.block = block.block_id;
    field.append(make("span", "error"), block.hint ? make("span", "hint", block.hint.text) : "");
    return field;
  }

  const CHOICES = { radio_buttons: "radio", checkboxes: "checkbox" };
  const INPUTS = { static_select: menu, datetimepicker: momentInput };

  function textInput(element) {
    const box = make(element.multiline ? "textarea" : "input");
    box.value = element.initial_value ?? "";
    if (element.multiline) box.rows = 5;
    if (element.max_length) box.maxLength = element.max_length;
    if (element.placeholder) box.placeholder = element.placeholder.text;
    box.dataset.name = element.action_id;
    if (element.focus_on_load) box.dataset.focus = "";
    return [box];
  }

  function choices({ block_id: block, element }) {
    const initial = [element.initial_option, ...(element.initial_options ?? [])].map((option) => option?.value);
    return element.options.map((option) => {
      const box = Object.assign(make("input"), { type: CHOICES[element.type], name: block, value: option.value, checked: initial.includes(option.value) });
      box.dataset.name = element.action_id;
      const more = option.description ? make("span", "hint", ...drawing.text(option.description)) : "";
      return make("label", "choice", box, " ", ...drawing.text(option.text), more);
    });
  }

  function menu(element) {
    const options = element.options.map((option) => Object.assign(make("option", "", option.text.text), { value: option.value, selected: option.value === element.initial_option?.value }));
    const select = make("select", "", ...options);
    select.dataset.name = element.action_id;
    return [select];
  }

  /** A date and time in the reader's zone, as in Slack; its value is Unix seconds, as the app gets it. */
  function momentInput(element) {
    const box = Object.assign(make("input"), { type: "datetime-local" });
    if (element.initial_date_time) {
      const at = new Date(element.initial_date_time * 1000);
      box.value = new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    }
    box.dataset.name = element.action_id;
    return [box];
  }

  const valueOf = (each) => (each.type === "datetime-local" && each.value ? String(new Date(each.value).getTime() / 1000) : each.value);

  function showErrors(errors) {
    for (const field of find("inputs").querySelectorAll("[data-block]")) {
      field.querySelector(".error").textContent = errors[field.dataset.block] ?? "";
    }
    find("form-error").textContent = "";
  }

  /** Each input's value by its name; the values of ticked boxes are separated by blanks. */
  function inputValues() {
    const values = {};
    for (const each of find("inputs").querySelectorAll("[data-name]")) {
      const { name } = each.dataset;
      if (each.type === "checkbox") values[name] = [values[name], each.checked && each.value].filter(Boolean).join(" ");
      else if (each.type !== "radio" || each.checked) values[name] = valueOf(each);
    }
    return values;
  }

  find("view").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!open) return;
    find("submit").disabled = true;
    const answer = await perform("submit", { view: open.id, values: inputValues() });
    find("submit").disabled = false;
    if (!answer.done) find("form-error").textContent = answer.reason;
    else if (!answer.acknowledged) toast(`⚠ ${find("modal-title").textContent}: ${answer.reason}.`);
  });

  const dismiss = () => open && perform("dismiss", { view: open.id });
  find("cancel").addEventListener("click", dismiss);
  find("modal").addEventListener("cancel", (event) => {
    event.preventDefault();
    dismiss();
  });

  // A modal is gone with its page, as in Slack.
  window.addEventListener("pagehide", () => {
    const body = JSON.stringify({ user: me(), view: open?.id });
    if (open) navigator.sendBeacon("/actions/dismiss", new Blob([body], { type: "application/json" }));
  });

  return { me, setPeople, setCommands, sendCommand, shortcut, reconnected, onUserChange: (listener) => (userChanged = listener), click, composer, keepCursor, setViews };
})();
