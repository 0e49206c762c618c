/** An IPv4 address that came in on an IPv6 socket as itself; a link-local one without its zone. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  if (address.startsWith("::ffff:")) return address.slice(7);
  const zone = address.indexOf("%");
  return zone === -1 ? address : address.slice(0, zone);
}
