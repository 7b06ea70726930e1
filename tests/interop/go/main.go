// Asks Google's verifiers of TDX quotes and SNP reports about evidence that is handed over, one JSON object a line.
//
// In: {"tee": "tdx", "evidence": hex, "root": hex, "at": seconds, "items": {name: hex}}; collateral is not fetched but
// taken from the items, through the libraries' own way to fetch. For "snp", "product" names the product line, and the
// certificates are those of the items leaf and chain.
// Out: {"accepted": bool, "word": string, "crashed": bool}.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	snp "github.com/google/go-sev-guest/verify"
	snptrust "github.com/google/go-sev-guest/verify/trust"
	"github.com/google/go-tdx-guest/pcs"
	tdx "github.com/google/go-tdx-guest/verify"
	"github.com/google/logger"
)

const rootList = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"

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
	Tee      string          `json:"tee"`
	Evidence blob            `json:"evidence"`
	Root     blob            `json:"root"`
	At       int64           `json:"at"`
	Product  string          `json:"product"`
	Items    map[string]blob `json:"items"`
}

type answer struct {
	Accepted bool   `json:"accepted"`
	Word     string `json:"word"`
	Crashed  bool   `json:"crashed"`
}

// service answers what Intel's would, out of the items.
type service struct {
	items map[string]blob
}

func (s service) Get(address string) (map[string][]string, []byte, error) {
	served := func(header, chain, body string) (map[string][]string, []byte, error) {
		content, there := s.items[body]
		if !there {
			return nil, nil, fmt.Errorf("no %s", body)
		}
		return map[string][]string{header: {url.QueryEscape(string(s.items[chain]))}}, content, nil
	}
	switch address {
	case pcs.QeIdentityURL():
		return served("Sgx-Enclave-Identity-Issuer-Chain", "qe_identity_issuer_chain", "qe_identity_response")
	case pcs.PckCrlURL("platform"), pcs.PckCrlURL("processor"):
		return served("Sgx-Pck-Crl-Issuer-Chain", "pck_crl_issuer_chain", "pck_crl")
	case rootList:
		return served("None", "", "root_ca_crl")
	}
	return served("Tcb-Info-Issuer-Chain", "tcb_info_issuer_chain", "tcb_info_response")
}

func aboutQuote(q question) error {
	root, err := x509.ParseCertificate(q.Root)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return tdx.RawTdxQuote(q.Evidence, &tdx.Options{
		GetCollateral: true, CheckRevocations: true, Getter: service{q.Items},
		Now: time.Unix(q.At, 0), TrustedRoots: roots,
	})
}

func aboutReport(q question) error {
	report, err := abi.ReportToProto(q.Evidence)
	if err != nil {
		return err
	}
	ask, ark, err := kds.ParseProductCertChain(q.Items["chain"])
	if err != nil {
		return err
	}
	roots := snptrust.AMDRootCertsProduct(q.Product)
	if err := roots.Decode(ask, ark); err != nil {
		return err
	}
	chain := &spb.CertificateChain{AskCert: ask, ArkCert: ark}
	info, err := abi.ParseSignerInfo(report.GetSignerInfo())
	if err != nil {
		return err
	}
	if info.SigningKey == abi.VlekReportSigner {
		chain.VlekCert = q.Items["leaf"]
	} else {
		chain.VcekCert = q.Items["leaf"]
	}
	return snp.SnpAttestation(&spb.Attestation{Report: report, CertificateChain: chain}, &snp.Options{
		DisableCertFetching: true, Now: time.Unix(q.At, 0),
		TrustedRoots: map[string][]*snptrust.AMDRootCerts{q.Product: {roots}},
	})
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
	about := map[string]func(question) error{"tdx": aboutQuote, "snp": aboutReport}[q.Tee]
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
