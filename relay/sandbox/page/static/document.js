// Draws the scenes that the document carries.

"use strict";

{
  const shown = JSON.parse(document.getElementById("shown").textContent);
  Object.assign(drawing.world, { now: shown.now, zone: shown.zone ?? undefined, ...shown.names });
  drawing.world.channels ??= {};
  drawing.world.users ??= {};
  drawing.world.groups ??= {};

  const { make } = drawing;
  const scene = ({ title, note, messages }) =>
    make(
      "section",
      "scene",
      title ? make("h2", "", title, note ? make("small", "", note) : null) : null,
      ...drawing.channel(messages, { isOpen: () => true }).filter((element) => !element.classList.contains("day")),
    );

  // Column by column, each next scene where there is most room: a row of equal heights would be mostly empty.
  const columns = Array.from({ length: shown.columns }, () => make("div", "scenes-column"));
  document.getElementById("scenes").append(...columns);
  for (const each of shown.scenes) {
    const [lowest] = [...columns].sort((one, other) => one.offsetHeight - other.offsetHeight);
    lowest.append(scene(each));
  }
  if (shown.now === null) setInterval(() => drawing.refreshDates(document), 20_000);
}
