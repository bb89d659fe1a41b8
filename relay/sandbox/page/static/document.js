// Draws the sections that the document carries.

"use strict";

{
  const content = JSON.parse(document.getElementById("content").textContent);
  Object.assign(drawing.world, { now: content.now, zone: content.zone ?? undefined, ...content.names });
  drawing.world.channels ??= {};
  drawing.world.users ??= {};
  drawing.world.groups ??= {};

  const { make } = drawing;
  const section = ({ title, note, messages }) =>
    make(
      "section",
      "document-section",
      title ? make("h2", "", title, note ? make("small", "", note) : null) : null,
      ...drawing.channel(messages, { isOpen: () => true }).filter((element) => !element.classList.contains("day")),
    );

  // Each next section goes into the shortest column; a grid with rows of equal height would be mostly empty.
  const columns = Array.from({ length: content.columns }, () => make("div", "sections-column"));
  document.getElementById("sections").append(...columns);
  for (const each of content.sections) {
    const [shortest] = [...columns].sort((one, other) => one.offsetHeight - other.offsetHeight);
    shortest.append(section(each));
  }
  if (content.now === null) setInterval(() => drawing.refreshDates(document), 20_000);
}
