// A container runtime as far as CNI goes: calls the first network of a folder by libcni, which containerd and CRI-O do it by.
//
//	runtime VERB CONF_DIR PLUGIN_DIR CACHE_DIR NETNS [KEY=VALUE...]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	if len(os.Args) < 6 {
		fail(errors.New("usage: runtime VERB CONF_DIR PLUGIN_DIR CACHE_DIR NETNS [KEY=VALUE...]"))
	}
	verb, confDir, pluginDir, cacheDir, netns := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	network, err := firstNetwork(confDir)
	if err != nil {
		fail(err)
	}
	pod := &libcni.RuntimeConf{ContainerID: "c1", NetNS: netns, IfName: "eth0"}
	for _, pair := range os.Args[6:] {
		key, value, _ := strings.Cut(pair, "=")
		pod.Args = append(pod.Args, [2]string{key, value})
	}
	if err := call(verb, libcni.NewCNIConfigWithCacheDir([]string{pluginDir}, cacheDir, nil), network, pod); err != nil {
		fail(err)
	}
}

func call(verb string, cni *libcni.CNIConfig, network *libcni.NetworkConfigList, pod *libcni.RuntimeConf) error {
	ctx := context.Background()
	switch verb {
	case "ADD":
		result, err := cni.AddNetworkList(ctx, network, pod)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	case "CHECK":
		return cni.CheckNetworkList(ctx, network, pod)
	case "DEL":
		return cni.DelNetworkList(ctx, network, pod)
	case "GC":
		return cni.GCNetworkList(ctx, network, &libcni.GCArgs{})
	case "STATUS":
		return cni.GetStatusNetworkList(ctx, network)
	case "VALIDATE":
		_, err := cni.ValidateNetworkList(ctx, network)
		return err
	}
	return fmt.Errorf("no such verb: %q", verb)
}

// The first file by name counts; one that is no list is a list of one.
func firstNetwork(folder string) (*libcni.NetworkConfigList, error) {
	files, err := libcni.ConfFiles(folder, []string{".conf", ".conflist", ".json"})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no network in %s", folder)
	}
	sort.Strings(files)
	if strings.HasSuffix(files[0], ".conflist") {
		return libcni.ConfListFromFile(files[0])
	}
	single, err := libcni.ConfFromFile(files[0])
	if err != nil {
		return nil, err
	}
	return libcni.ConfListFromConf(single)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
