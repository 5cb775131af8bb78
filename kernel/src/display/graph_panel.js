// The panel beside a graph: an entity with its relations, or a relation with the sentences that state it.
// `choose` is told what was clicked, `point` which relation the pointer is on.
function panelOf(data, choose, point) {
  const ROWS = 200, panel = make("aside", "panel");
  panel.hidden = true;
  panel.setAttribute("aria-live", "polite");

  function edgesOf(n) {
    return data.plain ? plural(n, "edge", "edges") : plural(n, "relation", "relations");
  }
  function note(text) {
    panel.append(make("p", "soft", text));
  }
  function rowOf(node, edge) {
    const out = edge.from === node, other = out ? edge.to : edge.from;
    const row = button("", data.plain ? "Show this edge" : "Show the sentences", () => choose(edge)), words = make("span");
    row.className = "mlk8s-row";
    if (out) words.append(make("em", "", edge.predicate + " "), other.name);
    else words.append(other.name, make("em", "", " " + edge.predicate));
    row.append(dotOf(other), words);
    if (edge.count > 1) row.append(make("small", "", "×" + edge.count));
    on(row, "pointerenter", () => point(edge));
    on(row, "pointerleave", () => point(null));
    return row;
  }
  function aboutNode(node) {
    const head = make("div", "head"), rows = node.edges.slice().sort((a, b) => b.count - a.count || a.id - b.id);
    head.append(dotOf(node), make("span", "", node.name));
    panel.append(head);
    if (node.aliases.length) note((data.plain ? "" : "also written ") + node.aliases.join(", "));
    const counts = [edgesOf(node.degree)];
    if (!data.plain) counts.push(plural(node.mentions, "mention", "mentions"));
    if (data.grouped) counts.push("community " + (node.community + 1));
    note(counts.join(" · "));
    rows.slice(0, ROWS).forEach((edge) => panel.append(rowOf(node, edge)));
    if (rows.length > ROWS) note("and " + (rows.length - ROWS) + " more");
    const hidden = node.degree - rows.length;
    if (hidden > 0) note(edgesOf(hidden) + (hidden === 1 ? " is" : " are") + " not in the picture");
  }
  function linkTo(node) {
    const made = button(node.name, data.plain ? "Show this node" : "Show this entity", () => choose(node));
    made.className = "mlk8s-name";
    return made;
  }
  function aboutEdge(edge) {
    const head = make("div", "head"), words = make("span");
    words.append(linkTo(edge.from), " " + edge.predicate + " ", linkTo(edge.to));
    head.append(words);
    panel.append(head);
    if (!data.plain) note("stated " + (edge.count === 1 ? "once" : edge.count + " times"));
    edge.sources.forEach((index) => {
      const source = data.sentences[index], quote = make("blockquote", "", source[1]);
      quote.append(make("cite", "", data.titles[source[0]]));
      panel.append(quote);
    });
    const more = edge.count - edge.sources.length;
    if (!data.plain && more > 0) note("and " + plural(more, "more place", "more places"));
  }

  return {
    element: panel,
    show(item) {
      const close = button("×", "Close", () => choose(null));
      close.className = "mlk8s-close";
      panel.replaceChildren(close);
      panel.hidden = !item;
      panel.scrollTop = 0;
      if (item) item.dot ? aboutNode(item) : aboutEdge(item);
    },
  };
}
