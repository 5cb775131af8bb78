// The search box of a graph: suggestions while one types, ranked by where the words match, then by weight.
// `go` is told which entity was meant.
function searchOf(order, go) {
  const box = make("div", "find"), input = make("input"), list = make("ul", "list");
  let found = [], pick = 0;
  input.type = "search";
  input.placeholder = "Search";
  input.setAttribute("aria-label", "Search entities");
  list.setAttribute("role", "listbox");
  list.hidden = true;
  box.append(input, list);

  function fold(text) {
    return text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  }
  function rank(node, asked) {
    const place = fold(node.name).indexOf(asked);
    if (place >= 0) return min(1, place);
    return node.aliases.some((name) => fold(name).includes(asked)) ? 2 : 3;
  }
  function suggest() {
    const asked = fold(input.value.trim());
    const ranked = asked ? order.map((node) => [rank(node, asked), node]).filter((pair) => pair[0] < 3) : [];
    found = ranked.sort((a, b) => a[0] - b[0]).slice(0, 12).map((pair) => pair[1]);
    pick = 0;
    list.replaceChildren(...found.map(option));
    if (!found.length) list.append(make("li", "soft", "nothing found"));
    list.hidden = !asked;
  }
  function option(node, at) {
    const item = make("li");
    item.append(dotOf(node), node.name);
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", at === 0);
    on(item, "pointerdown", (event) => {
      event.preventDefault();
      take(node);
    });
    return item;
  }
  function take(node) {
    list.hidden = true;
    input.value = node.name;
    go(node);
  }
  on(input, "input", suggest);
  on(input, "blur", () => (list.hidden = true));
  on(input, "keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: found.length - 1 }[event.key];
    if (event.key === "Enter" && !list.hidden && found[pick]) take(found[pick]);
    else if (event.key === "Escape" && !list.hidden) list.hidden = true;
    else if (step !== undefined && found.length) {
      pick = (pick + step) % found.length;
      [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at === pick));
      list.children[pick].scrollIntoView({ block: "nearest" });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    element: box,
    focus: () => input.focus(),
    clear() {
      input.value = "";
      list.hidden = true;
    },
  };
}
