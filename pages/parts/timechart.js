// A row of charts over time.  Charts stay while their data change.

const rows = new WeakMap();

// Called by Streamlit on mount and again whenever the data or the theme change.
export default function row({ data, parentElement }) {
  const specs = JSON.parse(new TextDecoder().decode(data));
  const known = rows.get(parentElement) ?? [];
  const host = parentElement.querySelector('.timecharts');
  known.splice(specs.length).forEach((chart) => chart.destroy());
  specs.forEach((spec, index) => {
    if (known[index]) known[index].set(spec);
    else known.push(timechart.create(host, spec));
  });
  rows.set(parentElement, known);
  return () => {
    known.forEach((chart) => chart.destroy());
    rows.delete(parentElement);
  };
}
