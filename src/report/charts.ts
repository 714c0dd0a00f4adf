import type { DayVolume, RiskShare } from './compliance-data.ts';
import { scriptValue } from './html-page.ts';
import { grouped, type Words } from './words.ts';

/*
 * Scripts that draw one chart each, by ECharts in SVG (sharp in print). The numbers place lines and slices only; what is written beside
 * them is the exact text.
 */

/** The total as a line on the left axis, the number of transactions as bars on the right one, by day. */
export function volumeChart(element: string, volume: readonly DayVolume[], words: Words): string {
  const data = {
    ...{
      element,
      amountName: words.totalAmount,
      countName: words.count,
      dateName: words.date,
      title: words.volumeTitle,
    },
    days: volume.map(({ day }) => day),
    amounts: volume.map(({ amount }) => ({ value: Number(amount), exact: grouped(amount) })),
    counts: volume.map(({ count }) => ({ value: Number(count), exact: grouped(count) })),
    average: volume.map(({ average }) => grouped(shortened(average))),
    averageName: words.averageAmount,
  };
  return drawing(
    data,
    `
    const fewDays = data.days.length < 2;
    return {
      aria: { enabled: true, label: { description: data.title } },
      grid: { left: 16, right: 16, top: 64, bottom: 40, containLabel: true },
      legend: { top: 0, data: [data.amountName, data.countName], textStyle: { color: ink } },
      tooltip: { trigger: 'axis', formatter: (items) => [data.days[items[0].dataIndex],
        ...items.map((item) => item.marker + item.seriesName + ' ' + item.data.exact), data.averageName + ' ' + data.average[items[0].dataIndex]].join('<br>') },
      xAxis: { type: 'category', data: data.days, name: data.dateName, nameLocation: 'middle', nameGap: 28, axisLabel: { color: ink, hideOverlap: true }, nameTextStyle: { color: ink } },
      yAxis: [
        { type: 'value', name: data.amountName, axisLabel: { color: ink, formatter: (value) => compact.format(value) }, nameTextStyle: { color: ink, align: 'left' }, splitLine: { lineStyle: { color: line } } },
        { type: 'value', name: data.countName, axisLabel: { color: ink }, nameTextStyle: { color: ink, align: 'right' }, splitLine: { show: false }, minInterval: 1 },
      ],
      series: [
        { name: data.countName, type: 'bar', yAxisIndex: 1, data: data.counts, barMaxWidth: 28, itemStyle: { color: '#9db8d9' } },
        { name: data.amountName, type: 'line', data: data.amounts, showSymbol: fewDays || data.days.length <= 62, symbolSize: 6, lineStyle: { width: 2 }, itemStyle: { color: '#c2571a' }, z: 3 },
      ],
    };`,
  );
}

const riskColours = { high: '#b3261e', medium: '#e0a030', low: '#3f7f5f' } as const;

/** Amounts by risk level. A pie has no place for what is not positive: such levels stand in the table only. */
export function riskChart(element: string, risk: readonly RiskShare[], words: Words): string {
  const slices = risk.filter(({ amount }) => Number(amount) > 0);
  const data = {
    ...{ element, title: words.riskTitle, countName: words.count },
    slices: slices.map(({ level, amount, count }) => ({
      ...{ name: words[level], value: Number(amount), exact: grouped(amount), count: grouped(count) },
      itemStyle: { color: riskColours[level] },
    })),
  };
  return drawing(
    data,
    `
    return {
      aria: { enabled: true, label: { description: data.title } },
      legend: { bottom: 0, textStyle: { color: ink } },
      tooltip: { trigger: 'item', formatter: (item) => item.marker + item.name + ' ' + item.data.exact + ' (' + item.percent + ' %)<br>' + data.countName + ' ' + item.data.count },
      series: [{ type: 'pie', radius: ['0%', '68%'], center: ['50%', '46%'], data: data.slices,
        label: { color: ink, formatter: (item) => item.name + ' ' + item.percent + ' %' }, itemStyle: { borderColor: paper, borderWidth: 2 } }],
    };`,
  );
}

/** `option` is the body of a function of `data` and the page's colours. */
function drawing(data: { readonly element: string }, option: string): string {
  return `(() => {
  const data = ${scriptValue(data)};
  const style = getComputedStyle(document.documentElement);
  const [ink, line, paper] = ['--ink', '--line', '--paper'].map((name) => style.getPropertyValue(name).trim());
  const compact = new Intl.NumberFormat(document.documentElement.lang, { notation: 'compact', maximumFractionDigits: 1 });
  const makeOption = () => {${option}
  };
  const chart = echarts.init(document.getElementById(data.element), null, { renderer: 'svg' });
  chart.setOption({ animation: false, textStyle: { fontFamily: 'system-ui, sans-serif' }, ...makeOption() });
  addEventListener('resize', () => chart.resize());
  addEventListener('beforeprint', () => chart.resize());
  addEventListener('afterprint', () => chart.resize());
})();`;
}

/** Averages have sixteen decimals or more: two and a half are enough to read. */
function shortened(decimal: string): string {
  return decimal.replace(/(\.\d{4})\d+$/, '$1');
}
