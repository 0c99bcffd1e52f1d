// Section "Predict, then look": the lecture's questions, answered by numbers of this run.

function showCards({content: {cards}}) {
  byId("card-list").append(...cards.map(newCard));
}

function newCard({title, question, prediction, answer, table: rows}, i) {
  const input = element("input", {id: `prediction-${i}`, type: "text", maxlength: 200, autocomplete: "off"});
  const button = element("button", {type: "submit"}, "Show what was measured");
  const shown = element("div", {class: "answer", role: "status"});
  const form = element(
    "form", {class: "controls"},
    element("label", {for: `prediction-${i}`}, prediction), input, button,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const own = input.value.trim();
    shown.replaceChildren(
      ...(own ? [element("p", {class: "muted"}, "Your prediction: ", element("bdi", {}, own))] : []),
      ...answer.map((sentence) => element("p", {}, sentence)),
      ...(rows ? [table(rows.caption, rows.headers, rows.rows)] : []),
    );
    button.textContent = "Shown";
    button.disabled = true;
  });
  return element("article", {}, element("h3", {}, title), element("p", {}, question), form, shown);
}
