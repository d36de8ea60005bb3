// Tables sort by their heads and filter by text. Without this script everything is shown all the same.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const bodies = [...table.tBodies];
  const rows = (body) => [...body.rows].filter((row) => !row.classList.contains("block"));
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return "";
    const text = (cell.dataset.sort ?? cell.childNodes[0]?.textContent ?? "").trim();
    const number = parseFloat(text.replace(/,/g, "").replace("\u2212", "-"));
    return cell.classList.contains("number") ? (Number.isNaN(number) ? null : number) : cell.textContent.trim();
  };
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  };
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const body of bodies) {
        const sorted = rows(body).map((row) => [value(row, column), row]);
        sorted.sort(([a], [b]) => (down && a !== null && b !== null ? -compare(a, b) : compare(a, b)));
        body.append(...sorted.map(([, row]) => row));
      }
    });
  });
  if (bodies.reduce((sum, body) => sum + rows(body).length, 0) < 8) continue;
  const filter = document.createElement("input");
  filter.type = "search";
  filter.placeholder = "filter rows";
  filter.setAttribute("aria-label", "filter rows");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const body of bodies) {
      let shown = 0;
      for (const row of rows(body)) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      body.hidden = shown === 0;
    }
  });
  table.closest(".wide").before(filter);
}
