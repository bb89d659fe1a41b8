// Draws the messages of a page as Slack shows them. Without it, the page shows them as text.

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

  draw(document);
  document.addEventListener("htmx:load", (event) => draw(event.detail.elt));
}
