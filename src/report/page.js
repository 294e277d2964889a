// Brings the page to life: every chart, and the links that lead from an event to its step in a chart.

const charts = new Map();

function forEachChart(act) {
  charts.forEach(act);
}

document.addEventListener("DOMContentLoaded", () => {
  const holder = document.getElementById("event-marks");
  const events = holder ? JSON.parse(holder.textContent) : [];
  for (const figure of document.querySelectorAll("figure.chart")) charts.set(figure.id, new Chart(figure, events));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-step]");
    const chart = link && charts.get(link.getAttribute("href").slice(1));
    if (!chart) return;
    const step = Number(link.dataset.step);
    if (step < chart.view[0] || step > chart.view[1]) chart.setView(...chart.all);
    chart.setCursor(step);
  });
  // What is folded away opens where a link leads into it.
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.closest("details");
    if (details && !details.open) {
      details.open = true;
      target.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", open);
  open();
});
