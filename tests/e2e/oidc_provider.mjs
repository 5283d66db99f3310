// oidc-provider on loopback with the clients of standard input. It prints its address, then a line for each token
// request: the assertion's header and claims, and the error if it refused the request.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider } from "oidc-provider";

console.info = console.warn = () => {}; // its hints for production

const input = createInterface({ input: process.stdin });
const [clients] = await new Promise((resolve) => input.once("line", (line) => resolve([JSON.parse(line)])));
input.on("close", () => process.exit());

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    ...client,
  })),
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"],
  enabledJWA: {
    clientAuthSigningAlgValues: ["HS256", "RS256", "RS384", "PS256", "ES256", "ES384", "ES512"],
  },
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
});

const decoded = (part) => JSON.parse(Buffer.from(part, "base64url"));
const tell = (ctx, error) => {
  const [header, claims] = (ctx.oidc.params?.client_assertion ?? "").split(".");
  const found = header ? { header: decoded(header), claims: decoded(claims) } : {};
  console.log(JSON.stringify({ ...found, error: error?.error_detail ?? error?.message ?? null }));
};
provider.on("grant.success", (ctx) => tell(ctx));
provider.on("grant.error", tell);
server.on("request", provider.callback());
console.log(issuer);
