/** One worker's requests for one upstream. */
export interface Demand {
  readonly inFlight: number;
  readonly waiting: number;
}

/**
 * Divides a limit among workers by what each has to do. A worker without work keeps one place for its next request,
 * as long as there are as many places as workers. Returns whole numbers whose sum is `limit`, or less when nobody
 * wants more.
 */
export function desiredShares(limit: number, demands: readonly Demand[]): number[] {
  const workers = demands.length;
  const least = limit >= workers ? 1 : 0;
  const shares = demands.map((): number => least);
  const wanted = demands.map(({ inFlight, waiting }) => inFlight + waiting);
  let left = limit - least * workers;
  // One at a time to the one that is worst off: limits are small, and no rounding has to be mended.
  while (left > 0) {
    let neediest = -1;
    let need = 0;
    for (let index = 0; index < workers; index++) {
      const share = shares[index] as number;
      const unmet = ((wanted[index] as number) - share) / (share + 1);
      if (unmet > need) {
        need = unmet;
        neediest = index;
      }
    }
    if (neediest === -1) break;
    shares[neediest] = (shares[neediest] as number) + 1;
    left--;
  }
  // What nobody asked for is spread, so that a burst finds room at once.
  return shares.map((share, index) => share + Math.floor(left / workers) + (index < left % workers ? 1 : 0));
}

/**
 * The shares to announce now: a raise waits until what it needs has been given back, so that the workers together
 * never have more requests at the app than the limit.
 */
export function nextShares(limit: number, current: readonly number[], demands: readonly Demand[]): number[] {
  const desired = desiredShares(limit, demands);
  // What each may have at the app at this moment: its share, or more where that was lowered a moment ago.
  const held = demands.map(({ inFlight }, index) => Math.max(current[index] as number, inFlight));
  let free = limit - held.reduce((sum, value) => sum + value, 0);
  return desired.map((share, index) => {
    const before = current[index] as number;
    if (share <= before) return share;
    const raise = Math.max(0, Math.min(share - before, free));
    free -= raise;
    return before + raise;
  });
}
