// A row of charts over time.  Charts stay while their data change.

const rows = new WeakMap();

function show(mine, specs) {
  mine.specs = specs;
  mine.charts.splice(specs.length).forEach((chart) => chart.destroy());
  specs.forEach((spec, index) => {
    if (mine.charts[index]) mine.charts[index].set(spec);
    else mine.charts.push(timechart.create(mine.host, spec));
  });
}

// Called by Streamlit on mount and again whenever the data or the theme change.
export default function row({ data, parentElement }) {
  const specs = JSON.parse(new TextDecoder().decode(data));
  const host = parentElement.querySelector('.timecharts');
  const mine = rows.get(parentElement) ?? { charts: [], host };
  const before = mine.specs;
  rows.set(parentElement, mine);
  show(mine, specs);
  return () => {
    // A call that was overtaken while its module loaded is cleaned up at once, and may have come
    // after the one that overtook it: what was there before is what is to be seen.
    if (parentElement.isConnected) {
      if (before && mine.specs === specs) show(mine, before);
      return;
    }
    mine.charts.forEach((chart) => chart.destroy());
    rows.delete(parentElement);
  };
}
