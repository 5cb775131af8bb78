// Makes elements. Words of documents enter the page as text only (textContent), never as markup.
const SVG = "http://www.w3.org/2000/svg", { hypot, max, min } = Math;

function make(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = "mlk8s-" + name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function set(element, attributes) {
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  return element;
}

function draw(tag, attributes) {
  return set(document.createElementNS(SVG, tag), attributes);
}

function on(element, event, act, options) {
  element.addEventListener(event, act, options);
}

function button(text, title, act) {
  const made = make("button", "", text);
  made.type = "button";
  made.title = title;
  on(made, "click", act);
  return made;
}

function dotOf(node) {
  const made = make("span", "dot");
  made.style.background = node.colour;
  return made;
}

function short(text, limit) {
  const letters = Array.from(text);
  return letters.length > limit ? letters.slice(0, limit - 1).join("").trim() + "…" : text;
}

function tenth(number) {
  return number.toFixed(1);
}

function plural(n, one, many) {
  return n + " " + (n === 1 ? one : many);
}

// Replaces the still picture of each figure with this identifier, once; on any failure the still picture stays.
function upgrade(identifier, start) {
  document.querySelectorAll('[data-mlk8s="' + identifier + '"]').forEach((figure) => {
    if (figure.dataset.up) return;
    figure.dataset.up = "1";
    const still = figure.querySelector("img.mlk8s-static");
    try {
      const live = start(JSON.parse(figure.querySelector("script.mlk8s-data").textContent));
      figure.insertBefore(live.box, still);
      live.begin();
      still.style.display = "none";
    } catch (error) {
      const half = figure.querySelector(".mlk8s-live");
      if (half) half.remove();
      console.error("the figure stays as it is:", error);
    }
  });
}
