// Oblivious HTTP over other people's HPKE (@hpke) and Binary HTTP (bhttp-js), written from RFC 9458 and the chunked
// draft alone. One JSON command a line on stdin, one JSON answer a line on stdout; bytes are hex.
//
//   {"do": "keys", "kem": 0x0020|0x647a, "aead": 1|2|3}            -> {"config": a single key configuration}
//   {"do": "seal", "config", "aead", "chunked", "body", "date"}    -> {"request"}
//   {"do": "read", "response"}                                     -> {"status", "type", "body"}       after "seal"
//   {"do": "open", "request", "chunked"}                           -> {"method", "url", "body", "date"} after "keys"
//   {"do": "answer", "body", "pieces"}                             -> {"response"}                     after "open"

import { Aes128Gcm, Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { Chacha20Poly1305 } from "@hpke/chacha20poly1305";
import { XWing } from "@hpke/hybridkem-x-wing";
import { BHttpDecoder, BHttpEncoder } from "bhttp-js";
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { createInterface } from "node:readline";

const KEMS = { 0x0020: DhkemX25519HkdfSha256, 0x647a: XWing };
const AEADS = { 1: Aes128Gcm, 2: Aes256Gcm, 3: Chacha20Poly1305 };
const CIPHERS = { 1: "aes-128-gcm", 2: "aes-256-gcm", 3: "chacha20-poly1305" };
const SIZES = { 0x0020: { pk: 32, enc: 32 }, 0x647a: { pk: 1216, enc: 1120 } };
const FINAL = Buffer.from("final");
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const unhex = (text) => Buffer.from(text, "hex");

const suiteOf = (kem, aead) => new CipherSuite({ kem: new KEMS[kem](), kdf: new HkdfSha256(), aead: new AEADS[aead]() });
const plain = (bytes) => new Uint8Array(bytes).buffer;
const label = (what, chunked) => Buffer.from(`message/bhttp ${chunked ? "chunked " : ""}${what}`);

function varint(value) {
  if (value < 0x40) return Buffer.from([value]);
  const out = Buffer.alloc(value < 0x4000 ? 2 : 4);
  return value < 0x4000 ? (out.writeUInt16BE(value | 0x4000), out) : (out.writeUInt32BE((value | 0x80000000) >>> 0), out);
}

function frames(stream) {
  const chunks = [];
  for (let at = 0; ; ) {
    const width = 1 << (stream[at] >> 6);
    let size = stream[at] & 0x3f;
    for (let i = 1; i < width; i++) size = size * 256 + stream[at + i];
    at += width;
    if (size === 0) return { chunks, final: stream.subarray(at) };
    chunks.push(stream.subarray(at, (at += size)));
  }
}

async function responseKeys(context, aead, enc, chunked, nonce) {
  const key = aead === 1 ? 16 : 32;
  const secret = await context.export(plain(label("response", chunked)), Math.max(12, key));
  const salt = Buffer.concat([enc, nonce]);
  const derive = (info, size) => Buffer.from(hkdfSync("sha256", Buffer.from(secret), salt, info, size));
  return { key: derive("key", key), base: derive("nonce", 12) };
}

function nonceAt(base, counter) {
  const nonce = Buffer.from(base);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ counter) >>> 0, 8);
  return nonce;
}

function sealAead(aead, { key, base }, counter, data, aad) {
  const cipher = createCipheriv(CIPHERS[aead], key, nonceAt(base, counter), { authTagLength: 16 });
  if (aad.length) cipher.setAAD(aad);
  return Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
}

function openAead(aead, { key, base }, counter, sealed, aad) {
  const cipher = createDecipheriv(CIPHERS[aead], key, nonceAt(base, counter), { authTagLength: 16 });
  if (aad.length) cipher.setAAD(aad);
  cipher.setAuthTag(sealed.subarray(sealed.length - 16));
  return Buffer.concat([cipher.update(sealed.subarray(0, sealed.length - 16)), cipher.final()]);
}

const none = Buffer.alloc(0);
let keys, sent, received;

const commands = {
  async keys({ kem, aead }) {
    const suite = suiteOf(kem, aead);
    const pair = await suite.kem.generateKeyPair();
    const algorithms = Buffer.from([0, 4, 0, 1, 0, aead]);
    const id = Buffer.from([9, kem >> 8, kem & 255]);
    keys = { suite, kem, aead, pair };
    return { config: hex(Buffer.concat([id, Buffer.from(await suite.kem.serializePublicKey(pair.publicKey)), algorithms])) };
  },

  async seal({ config, aead, chunked, body, date }) {
    const raw = unhex(config);
    const kem = raw.readUInt16BE(1);
    const suite = suiteOf(kem, aead);
    const recipientPublicKey = await suite.kem.deserializePublicKey(plain(raw.subarray(3, 3 + SIZES[kem].pk)));
    const header = Buffer.concat([raw.subarray(0, 3), Buffer.from([0, 1, 0, aead])]);
    const info = plain(Buffer.concat([label("request", chunked), Buffer.from([0]), header]));
    const context = await suite.createSenderContext({ recipientPublicKey, info });
    const enc = Buffer.from(context.enc);
    sent = { context, aead, enc, chunked };
    const request = new Request("https://room.example/v1/chat/completions", {
      method: "POST", body: unhex(body), headers: { date, "content-type": "application/json" },
    });
    const message = Buffer.from(await new BHttpEncoder().encodeRequest(request));
    const seal = async (data, aad) => Buffer.from(await context.seal(plain(data), plain(aad)));
    if (!chunked) return { request: hex(Buffer.concat([header, enc, await seal(message, none)])) };
    const parts = [header, enc];
    for (let at = 0; at < message.length; at += 1000) {
      const sealed = await seal(message.subarray(at, at + 1000), none);
      parts.push(varint(sealed.length), sealed);
    }
    parts.push(varint(0), await seal(none, FINAL));
    return { request: hex(Buffer.concat(parts)) };
  },

  async read({ response }) {
    const raw = unhex(response);
    const size = sent.aead === 1 ? 16 : 32;
    const derived = await responseKeys(sent.context, sent.aead, sent.enc, sent.chunked, raw.subarray(0, size));
    const stream = raw.subarray(size);
    let message;
    if (sent.chunked) {
      const { chunks, final } = frames(stream);
      const parts = chunks.map((sealed, i) => openAead(sent.aead, derived, i, sealed, none));
      message = Buffer.concat([...parts, openAead(sent.aead, derived, chunks.length, final, FINAL)]);
    } else {
      message = openAead(sent.aead, derived, 0, stream, none);
    }
    const decoded = new BHttpDecoder().decodeResponse(plain(message));
    const body = hex(await decoded.arrayBuffer());
    return { status: decoded.status, type: decoded.headers.get("content-type"), body };
  },

  async open({ request, chunked }) {
    const raw = unhex(request);
    const header = raw.subarray(0, 7);
    const enc = raw.subarray(7, 7 + SIZES[keys.kem].enc);
    const info = plain(Buffer.concat([label("request", chunked), Buffer.from([0]), header]));
    const context = await keys.suite.createRecipientContext({ recipientKey: keys.pair.privateKey, enc: plain(enc), info });
    const parts = [];
    const stream = raw.subarray(7 + enc.length);
    const { chunks, final } = chunked ? frames(stream) : { chunks: [stream], final: null };
    for (const sealed of chunks) parts.push(Buffer.from(await context.open(plain(sealed), plain(none))));
    if (final) parts.push(Buffer.from(await context.open(plain(final), plain(FINAL))));
    received = { context, enc, chunked };
    const decoded = new BHttpDecoder().decodeRequest(plain(Buffer.concat(parts)));
    const body = hex(await decoded.arrayBuffer());
    return { method: decoded.method, url: decoded.url, body, date: decoded.headers.get("date") };
  },

  async answer({ body, pieces }) {
    const { context, enc, chunked } = received;
    const nonce = randomBytes(keys.aead === 1 ? 16 : 32);
    const derived = await responseKeys(context, keys.aead, enc, chunked, nonce);
    const response = new Response(unhex(body), { status: 200, headers: { "content-type": "text/plain" } });
    const message = Buffer.from(await new BHttpEncoder().encodeResponse(response));
    if (!chunked) return { response: hex(Buffer.concat([nonce, sealAead(keys.aead, derived, 0, message, none)])) };
    const parts = [nonce];
    const step = Math.ceil(message.length / pieces);
    let counter = 0;
    for (let at = 0; at < message.length; at += step) {
      const sealed = sealAead(keys.aead, derived, counter++, message.subarray(at, at + step), none);
      parts.push(varint(sealed.length), sealed);
    }
    parts.push(varint(0), sealAead(keys.aead, derived, counter, none, FINAL));
    return { response: hex(Buffer.concat(parts)) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command.do](command);
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
