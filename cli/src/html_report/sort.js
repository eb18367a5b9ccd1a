// A click on a heading sorts its table by that column, a second one turns the order round; cells without a number come last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.addEventListener("click", () => {
    const isNumber = heading.classList.contains("number");
    const order = heading.getAttribute("aria-sort") === (isNumber ? "descending" : "ascending") ? -1 : 1;
    const key = row => row.cells[column].textContent;
    const compare = isNumber
      ? (a, b) => (key(a) === "") - (key(b) === "") || order * (Number(key(b)) - Number(key(a)))
      : (a, b) => order * key(a).localeCompare(key(b), undefined, { numeric: true });
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", isNumber === (order === 1) ? "descending" : "ascending");
  }));
}
