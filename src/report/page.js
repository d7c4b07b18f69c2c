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

  function place(body, rows) {
    const fragment = document.createDocumentFragment();
    for (const row of rows) fragment.append(row);
    body.append(fragment);
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const original = [...body.rows];
    heads.forEach((head, column) => {
      const button = element("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const now = before === "ascending" ? "descending" : before === "descending" ? null : "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (now === null) return place(body, original);
        head.setAttribute("aria-sort", now);
        const sign = now === "ascending" ? 1 : -1;
        const keyed = original.map((row) => [row.cells[column].textContent.trim(), row]);
        keyed.sort(([one], [other]) => (one === "") - (other === "") || sign * compare(one, other));
        place(body, keyed.map(([, row]) => row));
      });
    });
  }

  // Every word has to occur somewhere in the row.
  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    const name = table.closest("[aria-label]").getAttribute("aria-label");
    const label = element("label", { className: "filter", textContent: "Filter " });
    const input = element("input", { type: "search", placeholder: "words to look for", autocomplete: "off" });
    input.setAttribute("aria-label", "Filter the table " + name);
    const found = element("output", { className: "muted" });
    label.append(input, " ", found);
    table.closest(".scroll").before(label);
    let texts = null;
    let timer = 0;
    function apply() {
      texts ??= rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, index) => {
        row.hidden = !words.every((word) => texts[index].includes(word));
        if (!row.hidden) shown += 1;
      });
      found.textContent = words.length ? shown.toLocaleString("en") + " of " + rows.length.toLocaleString("en") : "";
    }
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(apply, 120);
    });
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
    const rows = table.tBodies[0].rows.length;
    if (rows > 1) sortable(table);
    if (rows > 7) filterable(table);
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
