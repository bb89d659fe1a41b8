// What the reader does, as one of the workspace's people: presses buttons, fills modals in, replies in threads.
//
// Everything that a modal or an answer says is put into the page as text; the page's own server alone is told of it.

"use strict";

const hands = (() => {
  const { make } = drawing;
  const find = (id) => document.getElementById(id);
  const KEY = "relay-sandbox-me";
  const SHOWN = 8_000; // ms for which a word about a press stands there

  let open = null; // the modal that is shown: {id, view, errors}
  let standing = []; // all modals that the workspace has open
  let heard = () => {}; // told when the reader becomes somebody else
  const composers = new Map(); // channel + ts of a root -> the box to reply in, with what is written there
  let quiet = 0;

  // --- who one is ---

  const me = () => find("me").value || null;

  function people(list) {
    const chosen = me() ?? sessionStorage.getItem(KEY);
    find("me").replaceChildren(...list.map(({ id, name }) => Object.assign(make("option", "", name), { value: id })));
    if (list.some(({ id }) => id === chosen)) find("me").value = chosen;
    find("being").hidden = !list.length;
    for (const composer of composers.values()) composer.hidden = !list.length;
    showView();
  }

  find("me").addEventListener("change", () => {
    sessionStorage.setItem(KEY, me());
    showView();
    heard();
  });

  // --- telling the workspace ---

  async function tell(act, told) {
    const body = JSON.stringify({ user: me(), ...told });
    const answer = await fetch(`/acts/${act}`, { method: "POST", body, headers: { "Content-Type": "application/json" } }).catch(() => null);
    const said = await answer?.json().catch(() => null);
    return { done: Boolean(answer?.ok), acknowledged: said?.acknowledged, why: said?.why || said?.detail || "the page's server does not answer" };
  }

  function toast(words) {
    find("toast").textContent = words;
    clearTimeout(quiet);
    quiet = setTimeout(() => (find("toast").textContent = ""), SHOWN);
  }

  // --- buttons ---

  async function press(button, channel, ts) {
    if (!me()) return toast("Nobody lives in this workspace who could press it.");
    const label = button.textContent;
    button.setAttribute("aria-busy", "true");
    const answer = await tell("click", { channel, ts, action: button.dataset.action });
    button.removeAttribute("aria-busy");
    if (!answer.acknowledged) toast(`⚠ ${label}: ${answer.why}.`);
  }

  // --- replies ---

  function composer(root, channel) {
    const key = `${root.channel}/${root.ts}`;
    const box = composers.get(key) ?? made(root, channel);
    composers.set(key, box);
    return box.hidden ? null : box;
  }

  function made(root, channel) {
    const text = Object.assign(make("textarea"), { rows: 2, placeholder: "Reply…" });
    text.setAttribute("aria-label", "Reply in this thread");
    const also = Object.assign(make("input"), { type: "checkbox" });
    const send = Object.assign(make("button", "button primary", "Send"), { type: "submit" });
    const form = make("form", "composer", text, make("div", "", make("label", "", also, ` also send to #${channel}`), send));
    form.hidden = !me();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!text.value.trim()) return;
      const answer = await tell("reply", { channel: root.channel, thread: root.ts, text: text.value, broadcast: also.checked });
      if (!answer.done) return toast(`⚠ Not sent: ${answer.why}.`);
      if (answer.acknowledged === false) toast(`⚠ Sent, but the app does not know: ${answer.why}.`);
      text.value = "";
      also.checked = false;
    });
    return form;
  }

  /** Redraw what stands around the boxes without taking anybody's cursor away. */
  function undisturbed(redraw) {
    const at = document.activeElement;
    const range = at instanceof HTMLTextAreaElement ? [at.selectionStart, at.selectionEnd] : null;
    redraw();
    if (!range || document.activeElement === at || !at.isConnected) return;
    at.focus({ preventScroll: true });
    at.setSelectionRange(...range);
  }

  // --- modals ---

  function views(list) {
    standing = list;
    showView();
  }

  function showView() {
    const mine = standing.filter(({ user }) => user === me()).at(-1) ?? null;
    if (mine === null) {
      open = null;
      find("modal").close();
      return;
    }
    const same = open?.id === mine.id && JSON.stringify(open.view) === JSON.stringify(mine.view);
    open = mine;
    if (!same) draw(mine.view);
    showErrors(mine.errors);
    find("submit").disabled = false;
    if (!find("modal").open) find("modal").showModal();
  }

  function draw(view) {
    find("modal-title").textContent = view.title?.text ?? "";
    find("submit").textContent = view.submit?.text ?? "Submit";
    find("submit").hidden = !view.submit;
    find("put-away").textContent = view.close?.text ?? "Cancel";
    find("asked").replaceChildren(...(view.blocks ?? []).flatMap((block) => (block.type === "input" ? [input(block)] : drawing.blocks([block]))));
    find("asked").querySelector("[data-focus]")?.focus();
  }

  function input(block) {
    const { element } = block;
    const label = make("span", "label", block.label?.text ?? "", block.optional ? make("span", "optional", " (optional)") : null);
    const asked = element.type === "radio_buttons" ? radios(block) : element.type === "static_select" ? menu(element) : writing(element);
    const field = make(element.type === "radio_buttons" ? "fieldset" : "label", "input", element.type === "radio_buttons" ? make("legend", "", label) : label, ...asked);
    field.dataset.block = block.block_id;
    field.append(make("span", "error"), block.hint ? make("span", "hint", block.hint.text) : "");
    return field;
  }

  function writing(element) {
    const box = make(element.multiline ? "textarea" : "input");
    box.value = element.initial_value ?? "";
    if (element.multiline) box.rows = 5;
    if (element.max_length) box.maxLength = element.max_length;
    if (element.placeholder) box.placeholder = element.placeholder.text;
    box.dataset.name = element.action_id;
    if (element.focus_on_load) box.dataset.focus = "";
    return [box];
  }

  function radios({ block_id: block, element }) {
    return element.options.map((option) => {
      const radio = Object.assign(make("input"), { type: "radio", name: block, value: option.value, checked: option.value === element.initial_option?.value });
      radio.dataset.name = element.action_id;
      return make("label", "choice", radio, " ", ...drawing.text(option.text));
    });
  }

  function menu(element) {
    const options = element.options.map((option) => Object.assign(make("option", "", option.text.text), { value: option.value, selected: option.value === element.initial_option?.value }));
    const select = make("select", "", ...options);
    select.dataset.name = element.action_id;
    return [select];
  }

  function showErrors(errors) {
    for (const field of find("asked").querySelectorAll("[data-block]")) {
      field.querySelector(".error").textContent = errors[field.dataset.block] ?? "";
    }
    find("trouble").textContent = "";
  }

  function filledIn() {
    const all = [...find("asked").querySelectorAll("[data-name]")].filter((each) => each.type !== "radio" || each.checked);
    return Object.fromEntries(all.map((each) => [each.dataset.name, each.value]));
  }

  find("view").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!open) return;
    find("submit").disabled = true;
    const answer = await tell("submit", { view: open.id, values: filledIn() });
    find("submit").disabled = false;
    if (!answer.done) find("trouble").textContent = answer.why;
    else if (!answer.acknowledged) toast(`⚠ ${find("modal-title").textContent}: ${answer.why}.`);
  });

  const putAway = () => open && tell("dismiss", { view: open.id });
  find("put-away").addEventListener("click", putAway);
  find("modal").addEventListener("cancel", (event) => {
    event.preventDefault();
    putAway();
  });

  return { me, people, changed: (listener) => (heard = listener), press, composer, undisturbed, views };
})();
