// Sorts, filters and searches the rows that are on the page, and opens what lies behind one.
// Nothing here makes markup from text: rows and details are elements that the page brought along.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const body = find("rows"), detail = find("detail"), count = find("count");
  const AT_ONCE = 200; // rows that are laid out before one scrolls

  const rest = find("more-rows").content.querySelectorAll("tr");
  const all = [...body.rows, ...rest].map((row) => ({
    row,
    ref: row.dataset.ref,
    text: row.textContent.toLowerCase() + " " + row.dataset.ref.toLowerCase(),
    keys: [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent),
  }));
  const details = new Map(
    [...document.querySelectorAll("template[data-for]")].map((t) => [t.dataset.for, t]),
  );
  let shown = all, laidOut = 0, order = { column: null, sign: 1 };

  // Rows that are laid out as cards stay rows of a table to who hears the page.
  const name = ({ row }) => {
    row.setAttribute("role", "row");
    for (const cell of row.cells) cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
  };

  const layOut = (many) => {
    const next = shown.slice(laidOut, laidOut + many);
    next.forEach(name);
    body.append(...next.map((entry) => entry.row));
    laidOut += next.length;
  };

  const isNumber = (text) => text !== "" && !Number.isNaN(Number(text));
  const compare = (a, b) => {
    const [x, y] = [a.keys[order.column], b.keys[order.column]];
    const by = isNumber(x) && isNumber(y) ? Number(x) - Number(y) : x.localeCompare(y);
    return order.sign * by;
  };

  const matches = (entry) => {
    const words = find("search").value.toLowerCase().split(/\s+/);
    const namespace = find("namespace").value, way = find("way").value;
    const of = entry.row.dataset;
    const changed = !["held", "same"].includes(of.way);
    return (
      words.every((word) => entry.text.includes(word)) &&
      (!namespace || of.namespace === namespace) &&
      (!way || of.way === way || (way === "changed" && changed))
    );
  };

  const refresh = () => {
    shown = all.filter(matches);
    if (order.column !== null) shown = [...shown].sort(compare);
    body.replaceChildren();
    laidOut = 0;
    layOut(AT_ONCE);
    count.textContent = `${shown.length} of ${all.length} containers`;
  };

  const sortBy = (head, column) => {
    order = { column, sign: order.column === column ? -order.sign : 1 };
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order.sign > 0 ? "ascending" : "descending");
    refresh();
  };

  for (const head of document.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(head, Number(head.dataset.sort)));
    head.replaceChildren(button);
  }

  // Why its amounts change, as its row has it.
  const reasons = (ref) => {
    const { row } = all.find((entry) => entry.ref === ref);
    return row.cells[row.cells.length - 1].textContent.split(" · ").filter(Boolean);
  };

  const open = (ref) => {
    const template = details.get(ref);
    if (!template) return;
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => detail.close());
    detail.replaceChildren(close, template.content.cloneNode(true));
    const why = document.createElement("ul");
    for (const text of reasons(ref)) {
      const item = document.createElement("li");
      item.textContent = text;
      why.append(item);
    }
    detail.querySelector("p").after(why);
    for (const image of detail.querySelectorAll("img")) {
      image.addEventListener("error", () => image.closest("a").remove());
    }
    if (!detail.open) detail.showModal();
    detail.scrollTop = 0;
  };

  const openHash = () => {
    let ref = "";
    try { ref = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    if (details.has(ref)) open(ref);
    else if (detail.open) detail.close();
  };
  detail.addEventListener("close", () => {
    const entry = all.find((each) => "#" + encodeURI(each.ref) === location.hash || "#" + each.ref === location.hash);
    if (entry) history.replaceState(null, "", location.pathname + location.search);
    entry?.row.focus();
  });
  window.addEventListener("hashchange", openHash);

  const walk = (step) => {
    const rows = [...body.rows], at = rows.indexOf(document.activeElement.closest("#rows tr"));
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
    next?.focus();
    if (rows.length - at < 10) layOut(AT_ONCE);
  };
  document.addEventListener("keydown", (event) => {
    const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
    if (detail.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const row = event.target.closest?.("#rows tr");
    if (event.key === "/") find("search").focus();
    else if (event.key === "ArrowDown" || event.key === "j") walk(1);
    else if ((event.key === "ArrowUp" || event.key === "k") && row) walk(-1);
    else if (event.key === "Enter" && event.target === row) location.hash = encodeURI(row.dataset.ref);
    else return;
    event.preventDefault();
  });

  const theme = (name) => { document.documentElement.dataset.theme = name; };
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  if (kept()) theme(kept());
  find("theme").addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const now = document.documentElement.dataset.theme ?? system;
    const next = now === "dark" ? "light" : "dark";
    theme(next);
    try { localStorage.setItem("theme", next); } catch { /* the choice lasts until one leaves */ }
  });

  for (const entry of all) entry.row.tabIndex = -1;
  find("table").setAttribute("role", "table");
  for (const part of find("table").querySelectorAll("thead, tbody")) part.setAttribute("role", "rowgroup");
  for (const head of document.querySelectorAll("th[data-sort]")) head.setAttribute("role", "columnheader");
  document.querySelector("#table thead tr").setAttribute("role", "row");
  find("controls").addEventListener("input", refresh);
  find("controls").addEventListener("submit", (event) => event.preventDefault());
  const end = document.createElement("div");
  body.closest(".scroll").after(end);
  new IntersectionObserver((seen) => seen[0].isIntersecting && layOut(AT_ONCE)).observe(end);
  // Printing shows every row that matches.
  window.addEventListener("beforeprint", () => layOut(shown.length));
  document.querySelector(".rest")?.remove();
  document.documentElement.classList.add("script");
  refresh();
  openHash();
})();
