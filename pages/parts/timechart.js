// A row of charts over time.  Charts stay while their data change.

const rows = new WeakMap();

// Called by Streamlit on mount and again whenever the data or the theme change.
export default function row({ data, parentElement }) {
  const specs = JSON.parse(new TextDecoder().decode(data));
  const mine = rows.get(parentElement) ?? { charts: [] };
  const call = (mine.call = Symbol('call'));
  const host = parentElement.querySelector('.timecharts');
  mine.charts.splice(specs.length).forEach((chart) => chart.destroy());
  specs.forEach((spec, index) => {
    if (mine.charts[index]) mine.charts[index].set(spec);
    else mine.charts.push(timechart.create(host, spec));
  });
  rows.set(parentElement, mine);
  return () => {
    // A call that was overtaken while its module loaded is cleaned up after the one that overtook.
    if (mine.call !== call) return;
    mine.charts.forEach((chart) => chart.destroy());
    rows.delete(parentElement);
  };
}
