// Command h2spec runs the conformance tests of HTTP/2: `server` against a server that listens on a port, `client` against
// a client that is behind a unix socket. Each test of a client starts a program with a URL: that is `notify`, which says the URL
// there and waits until the client is done with it.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "notify" {
		exitOn(notify(os.Args[2], os.Args[3]))
		return
	}
	if len(os.Args) < 2 || (os.Args[1] != "server" && os.Args[1] != "client") {
		fmt.Fprintln(os.Stderr, "usage: h2spec server|client [flags] [section...] | h2spec notify SOCKET URL")
		os.Exit(2)
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	port := flags.Int("port", 0, "server: its port; client: the first port to listen on")
	tls := flags.Bool("tls", false, "speak TLS, whatever the certificate")
	strict := flags.Bool("strict", false, "also what the RFC says a server should do")
	socket := flags.String("socket", "", "client: where it is told of URLs")
	verbose := flags.Bool("verbose", false, "tell every frame")
	_ = flags.Parse(os.Args[2:])

	settings := &config.Config{
		Host:         "127.0.0.1",
		Port:         *port,
		FromPort:     *port,
		Path:         "/",
		Timeout:      10 * time.Second,
		MaxHeaderLen: 4000,
		Strict:       *strict,
		TLS:          *tls,
		Insecure:     true,
		Verbose:      *verbose,
		Exec:         fmt.Sprintf("%s notify %s", os.Args[0], *socket),
		Sections:     flags.Args(),
	}
	if os.Args[1] == "client" {
		exitOn(h2spec.RunClientSpec(settings))
		return
	}
	passed, err := h2spec.Run(settings)
	exitOn(err)
	if !passed {
		os.Exit(1)
	}
}

func notify(socket, url string) error {
	connection, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := fmt.Fprintln(connection, url); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, connection)
	return err
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
