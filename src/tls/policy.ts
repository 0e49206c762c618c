import type { SecureContextOptions } from "node:tls";

/** Mozilla's Server Side TLS guidelines, version 6.0. */
const GROUPS = "X25519MLKEM768:X25519:prime256v1:secp384r1";
const TLS13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
const TLS12 = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

export const TLS_POLICIES: Readonly<Record<"intermediate" | "modern", SecureContextOptions>> = {
  intermediate: {
    minVersion: "TLSv1.2",
    ciphers: `${TLS13}:${TLS12}`,
    ecdhCurve: GROUPS,
    honorCipherOrder: false,
  },
  modern: { minVersion: "TLSv1.3", ciphers: TLS13, ecdhCurve: GROUPS, honorCipherOrder: false },
};
