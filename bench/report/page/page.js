"use strict";
// All that a reader can do with the page. It reads without this script; nothing here asks the network.
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // ---- light and dark -------------------------------------------------------------------------

  const system = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => { toggle.textContent = isDark() ? "Light colours" : "Dark colours"; };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
  });
  system.addEventListener("change", name);
  name();

  // ---- tables: order, filter ------------------------------------------------------------------

  const collator = new Intl.Collator("en", { numeric: true });
  const orders = new WeakMap(); // table → its rows as they came
  const rowsOf = (table) => {
    if (!orders.has(table)) orders.set(table, [...table.tBodies[0].rows]);
    return orders.get(table);
  };
  const numberIn = (cell) => Number(cell.dataset.sort ?? cell.dataset.v ?? NaN);
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

  // What has no number stands last, whichever way numbers are sorted.
  const compare = (column, numbers, sign) => (a, b) => {
    const [one, other] = [a.cells[column], b.cells[column]];
    if (!numbers) return sign * collator.compare(one.textContent, other.textContent);
    const [x, y] = [numberIn(one), numberIn(other)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };

  const sort = (heading) => {
    const table = heading.closest("table");
    const order = NEXT[heading.getAttribute("aria-sort")];
    for (const each of table.tHead.rows[0].cells) each.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", order);
    let rows = [...rowsOf(table)];
    if (order !== "none") {
      const column = heading.cellIndex;
      const numbers = rows.some((row) => !Number.isNaN(numberIn(row.cells[column])));
      rows.sort(compare(column, numbers, order === "ascending" ? 1 : -1));
    }
    table.tBodies[0].append(...rows);
  };

  // Without this script they do nothing, so they are no stops for the keyboard either.
  for (const button of document.querySelectorAll("thead button")) button.disabled = false;

  const filter = (input) => {
    const figure = input.closest("figure");
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = rowsOf(figure.querySelector("table"));
    let shown = 0;
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent).join("\n").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    figure.querySelector("output").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  };

  // ---- downloads ------------------------------------------------------------------------------

  const download = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  // What is shown, in the order shown. A column whose figures have units has them as plain numbers
  // beside it, too, in SI units; one of intervals has both ends.
  const NUMBERS = { v: "number", low: "low", high: "high" };
  const csv = (table) => {
    const headings = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    const beside = headings.map((_, i) => Object.keys(NUMBERS).filter((key) => rows.some((row) => {
      const cell = row.cells[i];
      return key in cell.dataset && cell.dataset[key] !== cell.textContent;
    })));
    const line = (cells, number) => cells
      .flatMap((cell, i) => [cell.textContent.trim(), ...beside[i].map((key) => number(cell, key))])
      .map(quoted).join(",");
    return [
      line(headings, (cell, key) => `${cell.textContent.trim()} (${NUMBERS[key]})`),
      ...rows.map((row) => line([...row.cells], (cell, key) => cell.dataset[key] ?? "")),
    ].map((each) => `${each}\n`).join("");
  };

  // On light paper whatever the page looks like, with its colours written out: programs that open
  // SVG know no variables. Its texts have the page's font, which is not there outside of the page.
  const svg = (figure) => {
    const light = document.body.appendChild(document.createElement("span"));
    light.className = "light";
    const colours = getComputedStyle(light);
    const copy = figure.querySelector("svg").cloneNode(true);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("style",
      "background: var(--ink-paper); font-family: DejaVu Sans, Verdana, Arial, sans-serif");
    const text = new XMLSerializer().serializeToString(copy)
      .replace(/var\((--ink-\w+)\)/g, (_, each) => colours.getPropertyValue(each).trim());
    light.remove();
    return `<?xml version="1.0" encoding="utf-8"?>\n${text}\n`;
  };

  const unpacked = (name) => {
    const text = document.getElementById(`file-${name}`).textContent;
    const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).blob();
  };

  // ---- what is pressed and typed --------------------------------------------------------------

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { csv: table, svg: picture, file } = button.dataset;
    if (table) {
      const shown = csv(button.closest("figure").querySelector("table"));
      download(table, new Blob([shown], { type: "text/csv" }));
    } else if (picture) {
      download(picture, new Blob([svg(button.closest("figure"))], { type: "image/svg+xml" }));
    } else if (file) {
      download(file, await unpacked(file));
    } else if (button.parentElement.matches("th")) {
      sort(button.parentElement);
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-filter]")) filter(event.target);
  });

  // ---- boxes: a stop for the keyboard where there is something to scroll ----------------------

  const stops = new ResizeObserver((entries) => {
    for (const { target: box } of entries) {
      const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      if (scrolls) box.tabIndex = 0;
      else if (box !== document.activeElement) box.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(".box")) stops.observe(box);
})();
