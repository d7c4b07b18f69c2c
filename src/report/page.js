// What the page gains with scripts: tables are sorted and filtered in place, commands are copied at a click,
// folded parts open when they are linked to or printed. Nothing is fetched, stored or sent.
"use strict";
(() => {
  const numeric = /^-?[\d,]+(\.\d+)?(e[+-]?\d+)?$/i;
  const collator = new Intl.Collator("en", { numeric: true });
  const ranks = new Map(["info", "warning", "critical", "low", "medium", "high"].map((word, rank) => [word, rank]));

  const element = (name, properties) => Object.assign(document.createElement(name), properties);

  // Numbers by value, known words by rank, anything else as text; empty cells always last.
  function compare(one, other) {
    if (one === "" || other === "") return 0;
    if (numeric.test(one) && numeric.test(other)) {
      return parseFloat(one.replaceAll(",", "")) - parseFloat(other.replaceAll(",", ""));
    }
    if (ranks.has(one) && ranks.has(other)) return ranks.get(one) - ranks.get(other);
    return collator.compare(one, other);
  }

  // Rows of a long table that stand in the page at once: laying out ten thousand takes seconds.
  const most = 500;

  // Sorting is by the heads; of a table that is worth it, rows are filtered: every word has to occur somewhere in a row.
  function interactive(table) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    let order = original;
    let texts = null;
    let words = [];
    let limit = most;
    const found = element("output", { className: "muted" });
    const more = element("button", { type: "button", className: "more" });

    const matches = (row) => words.every((word) => texts.get(row).includes(word));
    function show() {
      const kept = words.length ? order.filter(matches) : order;
      body.replaceChildren(...kept.slice(0, limit));
      more.hidden = kept.length <= limit;
      more.textContent = "Show all " + kept.length.toLocaleString("en") + " rows";
      found.textContent = words.length ? kept.length.toLocaleString("en") + " of " + original.length.toLocaleString("en") : "";
    }

    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = element("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const now = before === "ascending" ? "descending" : before === "descending" ? null : "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        order = original;
        if (now !== null) {
          head.setAttribute("aria-sort", now);
          const sign = now === "ascending" ? 1 : -1;
          const keyed = original.map((row) => [row.cells[column].textContent.trim(), row]);
          keyed.sort(([one], [other]) => (one === "") - (other === "") || sign * compare(one, other));
          order = keyed.map(([, row]) => row);
        }
        show();
      });
    });

    const scroll = table.closest(".scroll");
    if (original.length > 7) scroll.before(filter(table, found, (text) => {
      texts ??= new Map(original.map((row) => [row, [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase()]));
      words = text.toLowerCase().split(/\s+/).filter(Boolean);
      show();
    }));
    if (original.length > limit) {
      scroll.after(more);
      more.addEventListener("click", () => {
        limit = Infinity;
        show();
      });
      show();
    }
  }

  function filter(table, found, apply) {
    const name = table.closest("[aria-label]").getAttribute("aria-label");
    const label = element("label", { className: "filter", textContent: "Filter " });
    const input = element("input", { type: "search", placeholder: "words to look for", autocomplete: "off" });
    input.setAttribute("aria-label", "Filter the table " + name);
    label.append(input, " ", found);
    let timer = 0;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => apply(input.value), 120);
    });
    return label;
  }

  function copyable(code) {
    const button = element("button", { type: "button", className: "copy", textContent: "Copy" });
    button.setAttribute("aria-label", "Copy " + code.textContent);
    button.addEventListener("click", () => {
      const say = (word) => {
        button.textContent = word;
        setTimeout(() => (button.textContent = "Copy"), 1500);
      };
      navigator.clipboard.writeText(code.textContent).then(() => say("Copied"), () => getSelection().selectAllChildren(code));
    });
    code.after(button);
  }

  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement && !target.open) {
      target.open = true;
      target.scrollIntoView();
    }
  }

  for (const table of document.querySelectorAll("table.data")) {
    if (table.tBodies[0].rows.length > 1) interactive(table);
  }
  if (navigator.clipboard) document.querySelectorAll("code.line").forEach(copyable);

  addEventListener("hashchange", openTarget);
  openTarget();
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((details) => (details.open = false)));
})();
