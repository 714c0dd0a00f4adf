import type * as Echarts from 'echarts';
import type { EChartsOption } from 'echarts';
import { useEffect, useRef } from 'preact/hooks';
import { usePage } from './state.ts';

declare const echarts: typeof Echarts;

/** A chart; `label` is what a screen reader says, beside what ECharts tells of the data. */
export function Chart({ option, label, tall = false }: { option: EChartsOption; label: string; tall?: boolean }) {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<Echarts.ECharts | null>(null);
  const { dark } = usePage();
  useEffect(() => {
    const own = echarts.init(element.current, dark ? 'dark' : null, { renderer: 'canvas' });
    chart.current = own;
    const observer = new ResizeObserver(() => own.resize());
    if (element.current) observer.observe(element.current);
    return () => {
      observer.disconnect();
      own.dispose();
    };
  }, [dark]);
  useEffect(() => {
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    chart.current?.setOption(
      {
        backgroundColor: 'transparent',
        animation: !still,
        aria: { enabled: true, label: { enabled: true } },
        ...option,
      },
      { notMerge: true },
    );
  });
  return <div class={tall ? 'chart tall' : 'chart'} ref={element} role="img" aria-label={label} />;
}

/** Lines over time. */
export function lines(
  series: readonly { readonly name: string; readonly data: readonly (readonly [number, number | null])[] }[],
  format: (value: number) => string,
): EChartsOption {
  return {
    grid: { left: 8, right: 16, top: 36, bottom: 8, containLabel: true },
    legend: { top: 0, type: 'scroll' },
    tooltip: { trigger: 'axis', valueFormatter: (value) => (typeof value === 'number' ? format(value) : '–') },
    xAxis: { type: 'time', axisLabel: { hideOverlap: true } },
    yAxis: { type: 'value', min: 0, axisLabel: { formatter: (value: number) => format(value) } },
    series: series.map(({ name, data }) => ({
      ...{ type: 'line' as const, name, showSymbol: false, connectNulls: false },
      data: data.map(([at, value]) => [at, value]),
    })),
  };
}
