"use strict";

// Each image is a request of its own, a few at a time: results appear as they come.
const AT_A_TIME = 4;
const MOST_RETRIES = 30;

const byId = (id) => document.getElementById(id);
const waiting = [];
let running = 0;
let done = 0;
let failed = 0;
let generation = 0;
let model = null;

async function describe() {
  const response = await fetch("model");
  model = await response.json();
  byId("title").textContent = model.name;
  document.title = `${model.name} – tlkit serve`;
  const number = model.classes.length;
  const few = number <= 12 ? `: ${model.classes.join(", ")}` : "";
  const network = model.architecture ? `${model.architecture}, ` : "";
  byId("about").textContent = `${network}${model.size[1]}×${model.size[0]} pixels, ${number} ${number === 1 ? "class" : "classes"}${few}`;
}

function add(files) {
  const cards = document.createDocumentFragment();
  for (const file of files) {
    const card = byId("card").content.firstElementChild.cloneNode(true);
    const image = card.querySelector(".image");
    const url = URL.createObjectURL(file);
    const name = file.name || "image";
    image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
    image.addEventListener("error", () => {
      URL.revokeObjectURL(url);
      card.querySelector(".images").hidden = true; // a format that the browser does not show
    }, { once: true });
    image.src = url;
    image.alt = name;
    card.querySelector(".file").textContent = name;
    note(card, "Waiting …");
    cards.append(card);
    waiting.push({ file, card, name });
  }
  byId("results").prepend(cards);
  byId("bar").hidden = !byId("results").children.length;
  report();
  next();
}

function next() {
  while (running < AT_A_TIME && waiting.length) {
    const job = waiting.shift();
    const own = generation;
    running += 1;
    classify(job)
      .then(() => { if (own === generation) done += 1; })
      .catch((error) => {
        note(job.card, error.message, true);
        if (own === generation) failed += 1;
      })
      .finally(() => {
        running -= 1;
        report();
        next();
      });
  }
}

function report() {
  const left = running + waiting.length;
  const bad = failed ? `, ${failed} failed` : "";
  byId("status").textContent = left ? `Classifying: ${left} to go.` : `${done} classified${bad}.`;
}

function note(card, text, isError = false) {
  const line = card.querySelector(".note");
  line.textContent = text;
  line.classList.toggle("error", isError);
  line.hidden = !text;
}

// Post an image; a server with a full queue says when to come again.
async function post(path, file) {
  if (model && file.size > model.limits.body_bytes) {
    throw new Error(`It is larger than ${Math.floor(model.limits.body_bytes / 1e6)} MB, the limit of this server.`);
  }
  for (let tries = 0; ; tries += 1) {
    let response;
    try {
      response = await fetch(path, {
        method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
      });
    } catch {
      throw new Error("The server cannot be reached.");
    }
    if (response.status !== 503 || tries >= MOST_RETRIES) {
      return response;
    }
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds * (0.5 + Math.random())));
  }
}

async function classify({ file, card }) {
  const response = await post("predict", file);
  const document_ = await response.json();
  const found = Array.isArray(document_) ? document_[0] : document_;
  if (found.error) {
    throw new Error(sentence(found.error));
  }
  note(card, found.known === false
    ? `Unknown: unlike the images that it was trained on (score ${found.unknown_score.toFixed(2)}; above 1 is unknown).`
    : "");
  const list = card.querySelector(".scores");
  for (const score of found.predictions) {
    list.append(row(score, found.labels));
  }
  const why = card.querySelector(".why");
  why.hidden = false;
  why.addEventListener("click", () => explain(why, file, card, found.predictions[0]));
}

function row(score, given) {
  const item = document.createElement("li");
  const name = element("span", "name", score.name);
  if (given && given.includes(score.name)) {
    name.classList.add("given");
    name.textContent = `✓ ${score.name}`;
  }
  const percent = element("span", "percent", `${(100 * score.probability).toFixed(1)}%`);
  const track = element("div", "track");
  const fill = element("div", "fill");
  fill.style.width = `${100 * score.probability}%`;
  track.setAttribute("aria-hidden", "true");
  track.append(fill);
  item.append(name, percent, track);
  return item;
}

function element(kind, className, text = "") {
  const made = document.createElement(kind);
  made.className = className;
  made.textContent = text;
  return made;
}

async function explain(button, file, card, best) {
  button.disabled = true;
  button.textContent = "Covering parts of it …";
  try {
    const response = await post(`explain?label=${encodeURIComponent(best.label)}`, file);
    if (!response.ok) {
      throw new Error(sentence((await response.json()).error));
    }
    const image = document.createElement("img");
    image.className = "heat";
    image.alt = `Where it shows ${best.name}: bright where covering costs that class most`;
    image.src = URL.createObjectURL(await response.blob());
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    card.querySelector(".images").hidden = false;
    card.querySelector(".images").append(image);
    const line = element("p", "muted", `Bright: where it shows ${best.name}.`);
    line.tabIndex = -1;
    button.replaceWith(line);
    line.focus({ preventScroll: true });
  } catch (error) {
    note(card, error.message, true);
    button.disabled = false;
    button.textContent = "Show why";
  }
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(whole) ? whole : `${whole}.`;
}

function clear() {
  generation += 1;
  waiting.length = done = failed = 0;
  byId("results").replaceChildren();
  byId("bar").hidden = true;
  byId("choose").focus();
}

// The camera: in the page where the browser shows it, else the one of the phone's file dialog.
async function openCamera() {
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
    byId("photo").click();
    return;
  }
  try {
    byId("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    byId("viewer").showModal();
  } catch {
    byId("bar").hidden = false;
    byId("status").textContent = "There is no camera, or the browser may not use it.";
  }
}

function closeCamera() {
  const stream = byId("video").srcObject;
  if (stream) {
    stream.getTracks().forEach((track) => track.stop());
    byId("video").srcObject = null;
  }
}

function takePhoto() {
  const video = byId("video");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  if (!canvas.width) {
    return; // the camera has not started
  }
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => {
    byId("viewer").close();
    add([new File([blob], "photo.jpg", { type: "image/jpeg" })]);
  }, "image/jpeg", 0.92);
}

function start() {
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("camera").addEventListener("click", openCamera);
  byId("take").addEventListener("click", takePhoto);
  byId("cancel").addEventListener("click", () => byId("viewer").close());
  byId("viewer").addEventListener("close", closeCamera);
  byId("clear").addEventListener("click", clear);
  for (const id of ["files", "photo"]) {
    byId(id).addEventListener("change", (event) => {
      add(event.target.files);
      event.target.value = "";
    });
  }
  let depth = 0; // enter and leave also come from what is inside
  document.addEventListener("dragenter", (event) => { event.preventDefault(); depth += 1; over(true); });
  document.addEventListener("dragleave", () => { depth -= 1; over(depth > 0); });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    add(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) {
      add(event.clipboardData.files);
    }
  });
  describe().catch(() => { byId("about").textContent = "The server cannot be reached."; });
}

function over(is) {
  byId("drop").classList.toggle("over", is);
}

start();
