// Draws messages as Slack shows them. The page, `relay render --html` and the gallery draw with nothing else.
//
// The content of messages goes into the page as text nodes, never as HTML. Only http, https and mailto addresses become
// links.

"use strict";

const drawing = (() => {
  /** The pulse in the app's avatar. */
  const PULSE = "M4 17 9 7l4 8 2-4h5";

  // --- elements ---

  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  function pulse() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", PULSE);
    svg.append(path);
    return svg;
  }

  // --- time ---

  const DAY = 86400;

  /** The moment (Unix seconds; null for the reader's clock), the time zone, and names by id. */
  const world = { now: null, zone: undefined, channels: {}, users: {}, groups: {} };

  function now() {
    return world.now === null ? Date.now() / 1000 : world.now;
  }

  function format(at, options) {
    return new Intl.DateTimeFormat(undefined, { timeZone: world.zone, ...options }).format(new Date(at * 1000));
  }

  const clock = (at) => format(at, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

  function dayName(at) {
    const key = (moment) => format(moment, { year: "numeric", month: "2-digit", day: "2-digit" });
    if (key(at) === key(now())) return "today";
    if (key(at) === key(now() - DAY)) return "yesterday";
    if (key(at) === key(now() + DAY)) return "tomorrow";
    return null;
  }

  function ago(at) {
    const seconds = now() - at;
    const span = Math.abs(seconds);
    const [unit, length] = [["day", DAY], ["hour", 3600], ["minute", 60]].find(([, size]) => span >= size) ?? [null, 1];
    if (unit === null) return seconds >= 0 ? "just now" : "in a moment";
    const count = Math.floor(span / length);
    const words = `${count} ${unit}${count === 1 ? "" : "s"}`;
    return seconds >= 0 ? `${words} ago` : `in ${words}`;
  }

  const sameYear = (at) => format(at, { year: "numeric" }) === format(now(), { year: "numeric" });
  const short = (at) => format(at, { month: "short", day: "numeric", ...(sameYear(at) ? {} : { year: "numeric" }) });
  const medium = (at) => format(at, { month: "long", day: "numeric", year: "numeric" });
  const long = (at) => format(at, { weekday: "long", month: "long", day: "numeric", year: "numeric" });

  // https://docs.slack.dev/messaging/formatting-message-text#date-formatting
  const TOKENS = {
    date_num: (at) => format(at, { year: "numeric", month: "2-digit", day: "2-digit" }),
    date_slash: (at) => format(at, { year: "numeric", month: "2-digit", day: "2-digit" }),
    date: medium,
    date_pretty: (at) => dayName(at) ?? medium(at),
    date_short: short,
    date_short_pretty: (at) => dayName(at) ?? short(at),
    date_long: long,
    date_long_pretty: (at) => dayName(at) ?? long(at),
    time: clock,
    time_secs: (at) => format(at, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }),
    ago,
  };

  function dateText(at, pattern) {
    return pattern.replace(/\{([a-z_]+)\}/g, (whole, token) => (TOKENS[token] ? TOKENS[token](at) : whole));
  }

  function date(at, pattern, fallback) {
    if (!Number.isSafeInteger(at) || Math.abs(at) > 8.64e12) return document.createTextNode(fallback);
    const element = make("time", "date", dateText(at, pattern));
    element.dateTime = new Date(at * 1000).toISOString();
    element.title = `${long(at)} at ${clock(at)}`;
    element.dataset.at = String(at);
    element.dataset.pattern = pattern;
    return element;
  }

  /** Update relative dates ("12 minutes ago"); a page that shows messages for long calls this now and then. */
  function refreshDates(root) {
    for (const element of root.querySelectorAll("time[data-pattern]")) {
      const text = dateText(Number(element.dataset.at), element.dataset.pattern);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  // --- mrkdwn ---

  const unescaped = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

  const STYLES = [
    { mark: "*", tag: "b" },
    { mark: "_", tag: "i" },
    { mark: "~", tag: "s" },
  ].map(({ mark, tag }) => ({
    tag,
    pattern: new RegExp(
      `(?<![\\p{L}\\p{N}\u034f${mark}])[${mark}](?![\\s${mark}])((?:\u034f[${mark}]|[^\\n${mark}])*[^\\s\u034f${mark}])[${mark}](?![\\p{L}\\p{N}])`,
      "u",
    ),
  }));

  const SPANS = [
    { pattern: /```\n?([\s\S]+?)\n?```/, draw: (match) => make("pre", "code-block", unescaped(stripped(match[1]))) },
    { pattern: /`([^`\n]+)`/, draw: (match) => make("code", "", unescaped(stripped(match[1]))) },
    { pattern: /<([^<>\n]+)>/, draw: (match) => angled(match[1]) },
    ...STYLES.map(({ tag, pattern }) => ({ pattern, draw: (match) => make(tag, "", ...inline(match[1])) })),
  ];

  const stripped = (text) => text.replace(/<([^<>\n|]+)(?:\|([^<>\n]*))?>/g, (_, target, label) => label ?? target);

  function inline(text) {
    const nodes = [];
    let rest = text;
    while (rest) {
      const [first] = SPANS.map((span) => ({ span, match: span.pattern.exec(rest) }))
        .filter(({ match }) => match !== null)
        .sort((one, other) => one.match.index - other.match.index);
      if (!first) break;
      if (first.match.index) nodes.push(unescaped(rest.slice(0, first.match.index)));
      nodes.push(first.span.draw(first.match));
      rest = rest.slice(first.match.index + first.match[0].length);
    }
    if (rest) nodes.push(unescaped(rest));
    return nodes;
  }

  function angled(inside) {
    const bar = inside.indexOf("|");
    const target = bar < 0 ? inside : inside.slice(0, bar);
    const label = bar < 0 ? null : inside.slice(bar + 1);
    if (target.startsWith("@")) return mention(`@${label ?? world.users[target.slice(1)] ?? target.slice(1)}`);
    if (target.startsWith("#")) return mention(`#${label ?? world.channels[target.slice(1)] ?? target.slice(1)}`);
    if (target.startsWith("!subteam^")) return mention(`@${world.groups[target.slice(9)] ?? label ?? target.slice(9)}`);
    if (target.startsWith("!date^")) return slackDate(target, label ?? "");
    if (target.startsWith("!")) return mention(`@${target.slice(1)}`);
    return link(unescaped(target), unescaped(label ?? target));
  }

  function slackDate(target, fallback) {
    const [, seconds, pattern = "", url] = target.split("^");
    const element = date(Number(seconds), unescaped(pattern), unescaped(fallback));
    return url ? wrapped(link(unescaped(url), ""), element) : element;
  }

  function wrapped(anchor, element) {
    if (anchor.nodeType === Node.TEXT_NODE) return element;
    anchor.replaceChildren(element);
    return anchor;
  }

  /** A ping target (an id, or `here`), as a mention shows it. */
  function mentionOf(id) {
    return `@${world.groups[id] ?? world.users[id] ?? id}`;
  }

  function mention(text) {
    return make("span", "mention", text);
  }

  function link(url, label) {
    if (!/^(https?:\/\/|mailto:)/i.test(url)) return document.createTextNode(label);
    const anchor = make("a", "", label);
    anchor.href = url;
    anchor.target = "_blank";
    anchor.rel = "noopener noreferrer nofollow";
    return anchor;
  }

  /** A text by lines: those that begin with `>` become a quote. */
  function mrkdwn(text) {
    const nodes = [];
    const fences = text.split(/(```[\s\S]+?```)/);
    for (const piece of fences) {
      if (piece.startsWith("```") && piece.length > 6) nodes.push(...inline(piece));
      else if (piece) nodes.push(...lines(piece));
    }
    return nodes;
  }

  function lines(text) {
    const groups = [];
    for (const line of text.split("\n")) {
      const quoted = /^(?:&gt;|>) ?/.exec(line);
      const content = quoted ? line.slice(quoted[0].length) : line;
      const last = groups.at(-1);
      if (last && last.quoted === Boolean(quoted)) last.lines.push(content);
      else groups.push({ quoted: Boolean(quoted), lines: [content] });
    }
    return groups.flatMap((group, index) => {
      if (group.quoted) return [make("blockquote", "", ...broken(group.lines))];
      const drawn = broken(group.lines);
      return index && drawn.length === 0 ? [] : drawn;
    });
  }

  function broken(texts) {
    return texts.flatMap((text, index) => [...(index ? [make("br")] : []), ...inline(text)]);
  }

  function text(piece) {
    if (!piece) return [];
    return piece.type === "plain_text" ? plain(piece.text) : mrkdwn(piece.text ?? "");
  }

  const plain = (value) => String(value ?? "").split("\n").flatMap((line, index) => [...(index ? [make("br")] : []), line]);

  // --- blocks ---

  const BLOCKS = {
    header: (block) => [make("div", "header", ...plain(block.text?.text))],
    section: (block) => [section(block)],
    context: (block) => [make("div", "context", ...(block.elements ?? []).flatMap((each) => contextElement(each)))],
    divider: () => [make("hr")],
    image: (block) => [picture(block)],
    actions: (block) => [make("div", "actions", ...(block.elements ?? []).map(element))],
    rich_text: (block) => [make("div", "section", ...(block.elements ?? []).flatMap(richPart))],
    markdown: (block) => [make("div", "section", ...plain(block.text))],
    table: (block) => [table(block)],
  };

  function blocks(list) {
    return (list ?? []).flatMap((block) => (BLOCKS[block.type] ?? unknown)(block));
  }

  const unknown = (block) => [make("div", "context", `(${block.type})`)];

  function section(block) {
    const body = make("div", "section-body");
    if (block.text) body.append(make("div", "text", ...text(block.text)));
    if (block.fields?.length) {
      body.append(make("div", "fields", ...block.fields.map((field) => make("div", "field", ...text(field)))));
    }
    return make("div", "section", body, block.accessory ? make("div", "accessory", element(block.accessory)) : null);
  }

  function contextElement(piece) {
    return [piece.type === "image" ? element(piece) : make("span", "", ...text(piece))];
  }

  function element(piece) {
    switch (piece.type) {
      case "button":
        return button(piece);
      case "overflow":
        return menu(piece);
      case "image":
        return make("span", "picture small", piece.alt_text ?? "image");
      case "plain_text":
      case "mrkdwn":
        return make("span", "", ...text(piece));
      default:
        return make("span", "button", piece.placeholder?.text ?? piece.type);
    }
  }

  function button(piece) {
    const style = piece.style === "primary" || piece.style === "danger" ? ` ${piece.style}` : "";
    const label = piece.text?.text ?? "";
    const drawn = piece.url ? link(piece.url, label) : make("button", "", label);
    if (drawn.nodeType === Node.TEXT_NODE) return make("span", "button", drawn);
    drawn.className = `button${style}`;
    if (!piece.url) drawn.type = "button";
    return clickable(drawn, piece);
  }

  /** What a click on an element of a message needs: its id, and the question to ask first, if there is one. */
  function clickable(drawn, piece) {
    if (piece.action_id) drawn.dataset.action = piece.action_id;
    if (piece.confirm) drawn.dataset.confirm = `${piece.confirm.title?.text ?? ""}\n\n${piece.confirm.text?.text ?? ""}`;
    return drawn;
  }

  /** An overflow menu: three dots that open a list of entries. */
  function menu(piece) {
    const entries = (piece.options ?? []).map((option) => {
      const entry = clickable(Object.assign(make("button", "entry", option.text?.text ?? ""), { type: "button" }), piece);
      entry.dataset.option = option.value;
      return entry;
    });
    const dots = make("summary", "button", "⋯");
    dots.setAttribute("aria-label", "More actions");
    return make("details", "menu", dots, make("div", "entries", ...entries));
  }

  /** The page loads no images from elsewhere: it shows their alt texts. */
  function picture(block) {
    return make("div", "picture", block.title?.text ? `${block.title.text}: ` : null, block.alt_text ?? "image");
  }

  function table(block) {
    const cell = (piece) => make("td", "", ...(piece.type === "rich_text" ? (piece.elements ?? []).flatMap(richPart) : plain(piece.text ?? piece.value)));
    return make("table", "", ...(block.rows ?? []).map((row) => make("tr", "", ...row.map(cell))));
  }

  function richPart(part) {
    if (part.type === "rich_text_list") {
      return [make("ul", "", ...(part.elements ?? []).map((item) => make("li", "", ...richInline(item))))];
    }
    const tags = { rich_text_quote: "blockquote", rich_text_preformatted: "pre" };
    return [make(tags[part.type] ?? "div", part.type === "rich_text_preformatted" ? "code-block" : "", ...richInline(part))];
  }

  function richInline(part) {
    return (part.elements ?? []).map((piece) => {
      switch (piece.type) {
        case "link":
          return link(piece.url ?? "", piece.text ?? piece.url ?? "");
        case "user":
          return mention(`@${world.users[piece.user_id] ?? piece.user_id}`);
        case "usergroup":
          return mention(`@${world.groups[piece.usergroup_id] ?? piece.usergroup_id}`);
        case "channel":
          return mention(`#${world.channels[piece.channel_id] ?? piece.channel_id}`);
        case "broadcast":
          return mention(`@${piece.range}`);
        case "emoji":
          return document.createTextNode(`:${piece.name}:`);
        case "date":
          return date(piece.timestamp, piece.format ?? "{date_short_pretty} at {time}", piece.fallback ?? "");
        default:
          return styled(piece);
      }
    });
  }

  function styled(piece) {
    const tags = { bold: "b", italic: "i", strike: "s", code: "code" };
    return Object.entries(tags).reduce(
      (inner, [style, tag]) => (piece.style?.[style] ? make(tag, "", inner) : inner),
      make("span", "", ...plain(piece.text)),
    );
  }

  const COLORS = { good: "#2eb67d", warning: "#daa038", danger: "#a30200" };

  function attachment(piece) {
    const body = piece.blocks ? blocks(piece.blocks) : legacy(piece);
    const bar = make("div", "bar");
    const color = COLORS[piece.color] ?? piece.color;
    if (/^#[0-9a-f]{6}$/i.test(color ?? "")) bar.style.backgroundColor = color;
    return make("div", "attachment", bar, make("div", "attachment-body", ...body));
  }

  function legacy(piece) {
    const parts = ["pretext", "title", "text", "footer"].filter((name) => piece[name]);
    return parts.map((name) => make("div", name === "footer" ? "context" : "section", ...mrkdwn(String(piece[name]))));
  }

  // --- messages ---

  function body(message) {
    const content = make("div", "body");
    if (message.deleted) {
      content.append(make("div", "gone", "This message was deleted."));
      return content;
    }
    content.append(...(message.blocks?.length ? blocks(message.blocks) : [make("div", "section", make("div", "text", ...mrkdwn(message.text ?? "")))]));
    if (message.edited) content.lastElementChild?.append(make("span", "edited", " (edited)"));
    content.append(...(message.attachments ?? []).map(attachment));
    return content;
  }

  function head(message) {
    const at = Number.parseFloat(message.ts);
    const stamp = date(Math.floor(at), "{time}", "");
    stamp.classList?.add("stamp");
    return make("div", "head", make("b", "author", message.author), message.bot ? make("span", "app", "APP") : null, stamp);
  }

  function avatar(message) {
    const face = make("div", message.bot ? "avatar bot" : "avatar");
    face.append(message.bot ? pulse() : [...message.author][0]?.toUpperCase() ?? "?");
    return face;
  }

  /** One message. `options.note` is shown above it in small letters, `options.thread` below it. */
  function message(shown, options = {}) {
    const note = shown.to ? "Only visible to you" : options.note;
    const column = make("div", shown.to ? "column ephemeral" : "column", note ? make("div", "note", note) : null, head(shown), body(shown), options.thread ?? null);
    const element = make("article", "message", avatar(shown), column);
    element.dataset.ts = shown.ts;
    if (shown.incident) element.dataset.incident = shown.incident;
    return element;
  }

  /**
   * A thread that can be opened: `open` says whether it is open, `toggled` is called on a change, `composer` is the reply
   * form, if any.
   */
  function thread(replies, { open = false, toggled = () => {}, composer = null } = {}) {
    if (!replies.length && !composer) return null;
    const visible = replies.filter((reply) => !reply.to);
    const last = Math.floor(Number.parseFloat(visible.at(-1)?.ts ?? "0"));
    const summary = visible.length
      ? make("summary", "", make("b", "", `${visible.length} ${visible.length === 1 ? "reply" : "replies"}`), make("span", "last", "last ", date(last, "{date_short_pretty} at {time}", "")))
      : make("summary", "none", make("b", "", "Reply in thread"));
    const list = make("div", "replies", ...replies.map((reply) => message(reply, { note: reply.broadcast ? "also sent to the channel" : null })), composer);
    const details = make("details", "thread", summary, list);
    details.open = open;
    details.addEventListener("toggle", () => toggled(details.open));
    return details;
  }

  /** The first words of a root message, for the line above a broadcast reply. */
  function brief(root) {
    const header = root.blocks?.find((block) => block.type === "header")?.text?.text;
    const words = header ?? root.text ?? "";
    return words.length > 80 ? `${[...words].slice(0, 79).join("")}…` : words;
  }

  /** A channel from its messages, oldest first: root messages with their threads, and broadcast replies. */
  function channel(messages, { isOpen = () => false, toggled = () => {}, composer = () => null } = {}) {
    const roots = new Map(messages.filter((each) => !each.thread).map((each) => [each.ts, each]));
    const replies = Map.groupBy
      ? Map.groupBy(messages.filter((each) => each.thread), (each) => each.thread)
      : grouped(messages.filter((each) => each.thread));
    const drawn = [];
    let day = null;
    for (const each of messages) {
      if (each.thread && !each.broadcast) continue;
      const at = Math.floor(Number.parseFloat(each.ts));
      const label = dateText(at, "{date_long_pretty}");
      if (label !== day) drawn.push(make("div", "day", make("span", "", label[0].toUpperCase() + label.slice(1))));
      day = label;
      drawn.push(
        each.thread
          ? message(each, { note: `replied to a thread: ${brief(roots.get(each.thread) ?? {})}` })
          : message(each, {
              thread: thread(replies.get(each.ts) ?? [], { open: isOpen(each), toggled: (open) => toggled(each, open), composer: composer(each) }),
            }),
      );
    }
    return drawn;
  }

  function grouped(messages) {
    const groups = new Map();
    for (const each of messages) groups.set(each.thread, [...(groups.get(each.thread) ?? []), each]);
    return groups;
  }

  return { world, make, date, link, mentionOf, brief, blocks, text, message, thread, channel, refreshDates };
})();
