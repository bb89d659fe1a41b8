// Draws the messages of a page as Slack shows them, and says when a list could not refresh itself. Without it, the page
// shows messages as text, and refreshes nothing.

"use strict";

{
  function draw(root) {
    for (const place of root.querySelectorAll("[data-message]")) {
      const names = JSON.parse(place.dataset.names ?? "{}");
      Object.assign(drawing.world, { channels: names.channels ?? {}, users: names.users ?? {}, groups: names.groups ?? {} });
      const drawn = drawing.message(JSON.parse(place.dataset.message));
      for (const button of drawn.querySelectorAll("button")) button.disabled = true;
      place.replaceChildren(drawn);
      place.classList.add("drawn");
    }
  }

  // A list that cannot refresh itself is from another time, and must say so.
  function stale(isStale) {
    const notice = document.getElementById("stale");
    if (notice.hidden) notice.querySelector("time").textContent = new Date(refreshed).toLocaleTimeString();
    notice.hidden = !isStale;
    if (!isStale) refreshed = Date.now();
  }

  let refreshed = Date.now();
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, () => stale(true));
  }
  document.addEventListener("htmx:afterSwap", () => stale(false));

  draw(document);
  document.addEventListener("htmx:load", (event) => draw(event.detail.elt));
}
