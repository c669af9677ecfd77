package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"istio.io/istio/pkg/hbone"
	"istio.io/istio/security/pkg/pki/util"
)

// hboneClient: CERT KEY ROOT PROXY-ADDRESS AUTHORITY EXPECTED-IDENTITY. Standard input goes through the tunnel, and what
// comes back to descriptor 3: standard output is Istio's log.
func hboneClient(args []string) {
	if len(args) != 6 {
		usage()
	}
	config := tlsConfig(args[0], args[1], args[2])
	config.InsecureSkipVerify = true
	config.VerifyConnection = verify(config.RootCAs, x509.ExtKeyUsageServerAuth, args[5])
	config.NextProtos = []string{"h2"}
	dialer := hbone.NewDialer(hbone.Config{ProxyAddress: args[3], TLS: config})
	connection, err := dialer.Dial("tcp", args[4])
	if err != nil {
		fail(err)
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	go func() {
		if _, err := connection.Write(input); err != nil {
			fail(err)
		}
	}()
	// An echo: as many bytes as were sent.
	if _, err := io.CopyN(os.NewFile(3, "output"), connection, int64(len(input))); err != nil {
		fail(err)
	}
	connection.Close()
}

// hboneServer: CERT KEY ROOT LISTEN-ADDRESS EXPECTED-IDENTITY. Prints "listening" when it does.
func hboneServer(args []string) {
	if len(args) != 5 {
		usage()
	}
	config := tlsConfig(args[0], args[1], args[2])
	config.ClientAuth = tls.RequireAnyClientCert
	config.VerifyConnection = verify(config.RootCAs, x509.ExtKeyUsageClientAuth, args[4])
	config.NextProtos = []string{"h2"}
	listener, err := net.Listen("tcp", args[3])
	if err != nil {
		fail(err)
	}
	fmt.Println("listening")
	server := hbone.NewServer()
	server.TLSConfig = config
	server.Protocols.SetHTTP2(true)
	fail(server.ServeTLS(listener, "", ""))
}

func tlsConfig(cert, key, root string) *tls.Config {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		fail(err)
	}
	pem, err := os.ReadFile(root)
	if err != nil {
		fail(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		fail(errors.New("no root certificate"))
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13}
}

// verify checks the chain and the SPIFFE identity with Istio's own reading of both.
func verify(roots *x509.CertPool, usage x509.ExtKeyUsage, identity string) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		intermediates := x509.NewCertPool()
		for _, certificate := range state.PeerCertificates[1:] {
			intermediates.AddCert(certificate)
		}
		leaf := state.PeerCertificates[0]
		options := x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{usage}}
		if _, err := leaf.Verify(options); err != nil {
			return err
		}
		ids, err := util.ExtractIDs(leaf.Extensions)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if id == identity {
				return nil
			}
		}
		return fmt.Errorf("the peer is %v, not %s", ids, identity)
	}
}
