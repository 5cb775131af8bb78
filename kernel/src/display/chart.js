// Puts the picture itself into the page and shows what each bar, dot or part stands for under the pointer.
upgrade("FIGURE_ID", () => {
  const still = document.querySelector('[data-mlk8s="FIGURE_ID"] img.mlk8s-static');
  const bytes = Uint8Array.from(atob(still.src.split(",")[1]), (letter) => letter.charCodeAt(0));
  const text = new TextDecoder().decode(bytes);
  const picture = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
  const box = make("div", "chart"), tip = make("div", "tip");
  // The browser would show the title as a tooltip of its own.
  const title = picture.querySelector("title");
  set(picture, { role: "img", "aria-label": still.alt });
  if (title) title.remove();
  box.append(picture, tip);
  let lit = null;

  function hide() {
    if (lit) lit.classList.remove("mlk8s-lit");
    lit = null;
    tip.style.display = "none";
  }

  function show(event) {
    const under = event.target.closest && event.target.closest("[data-tip]");
    if (!under) return hide();
    if (under !== lit) {
      hide();
      lit = under;
      lit.classList.add("mlk8s-lit");
      tip.replaceChildren(...lit.getAttribute("data-tip").split("\n").map((line) => make("div", "", line)));
      tip.style.display = "block";
    }
    const area = box.getBoundingClientRect();
    const x = event.clientX - area.left, y = event.clientY - area.top;
    const left = x + 14 + tip.offsetWidth > area.width ? x - 12 - tip.offsetWidth : x + 14;
    tip.style.left = max(0, left) + "px";
    tip.style.top = max(0, min(y + 12, area.height - tip.offsetHeight)) + "px";
  }
  on(picture, "pointermove", show);
  on(picture, "pointerdown", show);
  on(box, "pointerleave", hide);
  return { box, begin() {} };
});
