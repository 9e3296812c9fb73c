"use strict";
// Sends pictures to /predict, a few at a time, and shows the answers. No name of a file or class is ever put in as HTML.

const MOST_PICTURES = 500, AT_A_TIME = 4, BARS = 5, TRIES = 30;
const UNLIKE = "nothing like the training images";
const PICTURE = /\.(avif|bmp|gif|hei[cf]|jpe?g|jp2|png|tiff?|webp)$/i;
const MOST_BYTES = Number(document.body.dataset.mostBytes);
const find = (id) => document.getElementById(id);
const answers = find("answers");
const waiting = [];
let working = 0, round = 0, skipped = 0, shown = [];

const percent = (share) => (100 * share).toFixed(1) + "\u00a0%";
const plural = (number, noun) => number.toLocaleString("en") + " " + noun + (number === 1 ? "" : "s");
const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

function make(tag, text = "", kind = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

// A picture of few pixels is enlarged without smoothing, as the model sees it.
function image(source, words) {
  const element = make("img");
  element.alt = words;
  element.decoding = "async";
  element.addEventListener("load", () => element.classList.toggle("tiny", element.naturalWidth <= 64 && element.naturalHeight <= 64));
  element.src = source;
  return element;
}

function add(files) {
  const pictures = files.filter((file) => file.type.startsWith("image/") || PICTURE.test(file.name));
  skipped = files.length - pictures.length;
  const room = MOST_PICTURES - shown.length;
  for (const file of pictures.slice(0, Math.max(0, room))) {
    const item = make("li", "", "card");
    const frame = make("div", "", "picture");
    const address = URL.createObjectURL(file);
    const picture = image(address, "");
    picture.addEventListener("error", () => frame.replaceChildren("This browser cannot show it."));
    frame.append(picture);
    const words = make("div");
    const name = file.webkitRelativePath || file.path || file.name || "pasted picture";
    words.append(make("h3", "…"), make("p", name, "name"));
    item.append(frame, words);
    answers.append(item);
    const entry = { file, name, item, words, address, answer: null, error: "" };
    shown.push(entry);
    waiting.push(entry);
  }
  answers.classList.toggle("one", shown.length === 1);
  find("clear").hidden = shown.length === 0;
  const over = Math.max(0, pictures.length - Math.max(0, room));
  tell(over ? plural(over, "picture") + " left out: at most " + MOST_PICTURES + " at a time." : "");
  while (working < AT_A_TIME && waiting.length) work();
}

async function work() {
  working += 1;
  const mine = round;
  while (waiting.length && mine === round) {
    const entry = waiting.shift();
    try {
      entry.answer = await ask(entry.file);
    } catch (error) {
      entry.error = error.message;
    }
    if (mine !== round) break;
    show(entry);
    tell("");
  }
  working -= 1;
}

async function ask(file) {
  if (file.size > MOST_BYTES) throw new Error("The file has more than " + MOST_BYTES / 1e6 + "\u00a0MB.");
  for (let tries = 0; ; tries += 1) {
    let response;
    try {
      response = await fetch("/predict?top=" + BARS, { method: "POST", body: file });
    } catch {
      throw new Error("The server does not answer; is the command still running?");
    }
    if (response.ok) return response.json();
    const busy = response.status === 429 || response.status === 503;
    if (!busy || tries === TRIES) {
      const said = await response.json().catch(() => ({}));
      throw new Error(said.reason || "The server answers " + response.status + ".");
    }
    await sleep(Number(response.headers.get("Retry-After")) || 1);
  }
}

function show({ item, words, name, answer, error }) {
  if (error) {
    words.replaceChildren(make("h3", "No answer"), make("p", name, "name"), make("p", error, "wrong"));
    return;
  }
  const alone = answers.classList.contains("one");
  const doubt = answer.unlike || answer.unsure ? "?" : "";
  words.replaceChildren(make("h3", answer.class + doubt + " " + percent(answer.confidence)), make("p", name, "name"));
  item.querySelector("img")?.setAttribute("alt", name + ": " + answer.class);
  if (answer.unlike) words.append(make("p", "Nothing like the training images: none of the classes may be right.", "unsure"));
  else if (answer.unsure) words.append(make("p", "Unsure: it may well be something else.", "unsure"));
  const more = make("details");
  more.open = alone;
  more.append(make("summary", answer.alike.length ? "Likeliest classes, and what it resembles" : "Likeliest classes"), bars(answer.top));
  if (answer.alike.length) more.append(make("p", "Most alike training pictures:", "label-line"), alike(answer.alike));
  words.append(more);
}

function bars(top) {
  const list = make("ol", "", "bars");
  for (const one of top) {
    const row = make("li"), share = make("span", "", "share");
    share.setAttribute("aria-hidden", "true");
    share.style.setProperty("--share", (100 * one.confidence).toFixed(1) + "%");
    row.append(make("span", one.class, "label"), share, make("span", percent(one.confidence), "value"));
    list.append(row);
  }
  return list;
}

function alike(found) {
  const list = make("ul", "", "alike");
  for (const one of found) {
    const row = make("li"), picture = image(one.picture, "Training picture of " + one.class);
    picture.title = one.image;
    row.append(picture, make("span", one.class), make("span", "alike: " + one.similarity.toFixed(2), "soft"));
    list.append(row);
  }
  return list;
}

function tell(note) {
  const done = shown.filter((one) => one.answer || one.error);
  const counts = new Map();
  for (const one of done) {
    const kind = one.error ? "without an answer" : one.answer.unlike ? UNLIKE : one.answer.unsure ? "unsure" : one.answer.class;
    counts.set(kind, (counts.get(kind) || 0) + 1);
  }
  const kinds = [...counts].sort((a, b) => b[1] - a[1]).map(([kind, number]) => number + " " + kind);
  const several = kinds.slice(0, 8).join(", ") + (kinds.length > 8 ? ", …" : "");
  let text = shown.length ? done.length + " of " + plural(shown.length, "picture") + " answered" : "No picture yet";
  if (shown.length && done.length === shown.length) {
    const [first] = done;
    text = plural(done.length, "picture") + ": " + several;
    if (done.length === 1 && !first.error) {
      text = first.name + ": " + first.answer.class + ", " + percent(first.answer.confidence) + (first.answer.unsure ? ", unsure" : "") + (first.answer.unlike ? ", " + UNLIKE : "");
    }
  }
  text += skipped ? "; " + plural(skipped, "file") + " skipped that " + (skipped === 1 ? "is no picture" : "are no pictures") : "";
  // A screen reader speaks each change: of many answers only the end is told.
  find("status").setAttribute("aria-busy", String(done.length < shown.length));
  find("status").textContent = text + "." + (note ? " " + note : "");
}

function clear() {
  round += 1;
  waiting.length = 0;
  for (const one of shown) URL.revokeObjectURL(one.address);
  shown = [];
  skipped = 0;
  answers.replaceChildren();
  find("clear").hidden = true;
  tell("");
  find("choose").focus();
}

// Dropped folders are gone through; a directory's reader gives its entries in portions.
async function filesOf(entry, place = "") {
  if (entry.isFile) {
    return new Promise((done) => entry.file((file) => {
      file.path = place + file.name;
      done([file]);
    }, () => done([])));
  }
  const reader = entry.createReader(), found = [];
  for (;;) {
    const entries = await new Promise((done) => reader.readEntries(done, () => done([])));
    if (!entries.length) return found;
    for (const one of entries) found.push(...await filesOf(one, place + entry.name + "/"));
  }
}

async function drop(event) {
  event.preventDefault();
  find("drop").classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...event.dataTransfer.files];
  add(entries.length ? (await Promise.all(entries.map((entry) => filesOf(entry)))).flat() : plain);
}

for (const [button, input] of [["choose", "files"], ["choose-folder", "folder"]]) {
  find(button).addEventListener("click", () => find(input).click());
  find(input).addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = "";
  });
}
find("clear").addEventListener("click", clear);
find("address").textContent = location.origin;
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) add([...event.clipboardData.files]);
});
// On the whole page: a picture that is dropped beside the box would otherwise replace the page.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  find("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) find("drop").classList.remove("over");
});
document.addEventListener("drop", drop);
