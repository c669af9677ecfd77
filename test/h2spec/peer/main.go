// Command h2spec runs the conformance tests of HTTP/2: `server` against a server that listens on a port, `client` against
// a program that is started with a URL, once a test.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

func main() {
	if len(os.Args) < 2 || (os.Args[1] != "server" && os.Args[1] != "client") {
		fmt.Fprintln(os.Stderr, "usage: h2spec server|client [flags] [section...]")
		os.Exit(2)
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	port := flags.Int("port", 0, "server: its port; client: the first port to listen on")
	tls := flags.Bool("tls", false, "speak TLS, whatever the certificate")
	strict := flags.Bool("strict", false, "also what the RFC says a server should do")
	exec := flags.String("exec", "", "client: the command; the URL is its last argument")
	verbose := flags.Bool("verbose", false, "tell every frame")
	_ = flags.Parse(os.Args[2:])

	settings := &config.Config{
		Host:         "127.0.0.1",
		Port:         *port,
		FromPort:     *port,
		Path:         "/",
		Timeout:      2 * time.Second,
		MaxHeaderLen: 4000,
		Strict:       *strict,
		TLS:          *tls,
		Insecure:     true,
		Verbose:      *verbose,
		Exec:         *exec,
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

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
