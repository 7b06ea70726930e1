// Asks other people's verifiers about vTPM attestations, TPM quotes and signed CBOR, one JSON object a line.
//
// In:  {"kind": "attestation", "evidence", "nonce", "root", "issuers": [...]}: an Attestation of go-tpm-tools, whole.
//      {"kind": "quotes", ...}: the same without its event log, which go-tpm-tools would not go on without.
//      {"kind": "quote", "message", "signature", "pcrs": {"0": ...}, "bank", "key", "nonce"}: one quote.
//      {"kind": "sign1", "evidence", "key"}: a COSE_Sign1, tagged or not.
// Octets are in hexadecimal; keys are SubjectPublicKeyInfo.
// Out: {"accepted": bool, "word": string, "crashed": bool}.
package main

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	pb "github.com/google/go-tpm-tools/proto/attest"
	tpmpb "github.com/google/go-tpm-tools/proto/tpm"
	"github.com/google/go-tpm-tools/quote"
	"github.com/google/go-tpm-tools/server"
	"github.com/google/logger"
	cose "github.com/veraison/go-cose"
	"google.golang.org/protobuf/proto"
)

type blob []byte

func (b *blob) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	content, err := hex.DecodeString(text)
	*b = content
	return err
}

type question struct {
	Kind      string          `json:"kind"`
	Evidence  blob            `json:"evidence"`
	Nonce     blob            `json:"nonce"`
	Root      blob            `json:"root"`
	Issuers   []blob          `json:"issuers"`
	Message   blob            `json:"message"`
	Signature blob            `json:"signature"`
	Pcrs      map[uint32]blob `json:"pcrs"`
	Bank      int32           `json:"bank"`
	Key       blob            `json:"key"`
}

type answer struct {
	Accepted bool   `json:"accepted"`
	Word     string `json:"word"`
	Crashed  bool   `json:"crashed"`
}

func certificates(raw []blob) ([]*x509.Certificate, error) {
	found := make([]*x509.Certificate, 0, len(raw))
	for _, one := range raw {
		certificate, err := x509.ParseCertificate(one)
		if err != nil {
			return nil, err
		}
		found = append(found, certificate)
	}
	return found, nil
}

func aboutAttestation(q question) error {
	attestation := &pb.Attestation{}
	if err := proto.Unmarshal(q.Evidence, attestation); err != nil {
		return err
	}
	roots, err := certificates([]blob{q.Root})
	if err != nil {
		return err
	}
	issuers, err := certificates(q.Issuers)
	if err != nil {
		return err
	}
	if q.Kind == "quotes" {
		return aboutQuotes(attestation, roots, issuers, q.Nonce)
	}
	_, err = server.VerifyAttestation(attestation, server.VerifyOpts{
		Nonce: q.Nonce, TrustedRootCerts: roots, IntermediateCerts: issuers,
	})
	return err
}

func aboutQuotes(attestation *pb.Attestation, roots, issuers []*x509.Certificate, nonce []byte) error {
	certificate, err := x509.ParseCertificate(attestation.GetAkCert())
	if err != nil {
		return err
	}
	if err := server.VerifyAKCert(certificate, roots, issuers); err != nil {
		return err
	}
	if len(attestation.GetQuotes()) == 0 {
		return errors.New("no quote")
	}
	for _, one := range attestation.GetQuotes() {
		if err := quote.Verify(one, certificate.PublicKey, nonce); err != nil {
			return err
		}
	}
	return nil
}

func aboutQuote(q question) error {
	key, err := x509.ParsePKIXPublicKey(q.Key)
	if err != nil {
		return err
	}
	pcrs := make(map[uint32][]byte, len(q.Pcrs))
	for index, value := range q.Pcrs {
		pcrs[index] = value
	}
	return quote.Verify(&tpmpb.Quote{
		Quote: q.Message, RawSig: q.Signature, Pcrs: &tpmpb.PCRs{Hash: tpmpb.HashAlgo(q.Bank), Pcrs: pcrs},
	}, crypto.PublicKey(key), q.Nonce)
}

func aboutSign1(q question) error {
	key, err := x509.ParsePKIXPublicKey(q.Key)
	if err != nil {
		return err
	}
	public, is := key.(*ecdsa.PublicKey)
	if !is {
		return errors.New("not a key on a curve")
	}
	var tagged cose.Sign1Message
	message := &tagged
	if err := message.UnmarshalCBOR(q.Evidence); err != nil {
		var untagged cose.UntaggedSign1Message
		if err := untagged.UnmarshalCBOR(q.Evidence); err != nil {
			return err
		}
		message = (*cose.Sign1Message)(&untagged)
	}
	algorithm, err := message.Headers.Protected.Algorithm()
	if err != nil {
		return err
	}
	verifier, err := cose.NewVerifier(algorithm, public)
	if err != nil {
		return err
	}
	return message.Verify(nil, verifier)
}

func ask(raw []byte) (given answer) {
	defer func() {
		if reason := recover(); reason != nil {
			given = answer{Word: fmt.Sprint("panic: ", reason), Crashed: true}
		}
	}()
	var q question
	if err := json.Unmarshal(raw, &q); err != nil {
		return answer{Word: err.Error(), Crashed: true}
	}
	about := map[string]func(question) error{
		"attestation": aboutAttestation, "quotes": aboutAttestation, "quote": aboutQuote, "sign1": aboutSign1,
	}[q.Kind]
	if err := about(q); err != nil {
		return answer{Word: err.Error()}
	}
	return answer{Accepted: true}
}

func main() {
	logger.Init("interop", false, false, io.Discard)
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		if err := out.Encode(ask(lines.Bytes())); err != nil {
			os.Exit(1)
		}
	}
}
