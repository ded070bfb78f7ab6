// Places in sorted columns.

interface Sorted {
  readonly length: number;
  readonly [index: number]: number;
}

/** Index of the last entry <= `value` in [start, end), start - 1 when there is none. */
export function lastAtOrBefore(sorted: Sorted, value: number, start = 0, end = sorted.length): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
