// Command peers is Istio's own istiod, istioctl and node agent, and its HBONE client and server, in one binary, chosen by its
// first argument. They stand at the other end in Ambit's tests.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"istio.io/istio/cni/pkg/cmd"
	istioctl "istio.io/istio/istioctl/cmd"
	discovery "istio.io/istio/pilot/cmd/pilot-discovery/app"
	"istio.io/istio/pkg/log"
)

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	name := os.Args[1]
	os.Args = append([]string{name}, os.Args[2:]...)
	switch name {
	case "istiod":
		run(discovery.NewRootCommand())
	case "istioctl":
		if err := istioctl.ConfigAndEnvProcessing(); err != nil {
			fail(err)
		}
		run(istioctl.GetRootCmd(os.Args[1:]))
	case "install-cni":
		run(cmd.GetCommand())
	case "hbone-client":
		hboneClient(os.Args[1:])
	case "ztunnel":
		ztunnel(os.Args[1:])
	case "hbone-server":
		hboneServer(os.Args[1:])
	default:
		usage()
	}
}

func run(command *cobra.Command) {
	log.EnableKlogWithCobra()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command.ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: peers istiod|istioctl|install-cni|ztunnel|hbone-client|hbone-server ...")
	os.Exit(2)
}
