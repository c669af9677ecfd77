package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	ca "istio.io/api/security/v1alpha1"
	"istio.io/istio/pkg/workloadapi"
	authorization "istio.io/istio/pkg/workloadapi/security"
	"istio.io/istio/pkg/zdsapi"
	"istio.io/istio/security/pkg/pki/util"
)

const (
	addressType       = "type.googleapis.com/istio.workload.Address"
	authorizationType = "type.googleapis.com/istio.security.Authorization"
)

// report is what a ztunnel of Istio understands of what it is told.
type report struct {
	// By resource name, as the protobuf JSON of Istio's own messages.
	Addresses      map[string]json.RawMessage `json:"addresses"`
	Authorizations map[string]json.RawMessage `json:"authorizations"`
	// Fields that Istio's messages do not have.
	Unknown []string `json:"unknown"`
	// SPIFFE ids of the certificate, once it was verified against the root that came with it.
	Identities []string `json:"identities"`
	// namespace/name of pods that came over ZDS with a network namespace.
	Pods []string `json:"pods"`
}

// ztunnel: ROOT-FILE TOKEN-FILE DISCOVERY-ADDRESS ZDS-SOCKET IDENTITY NODE-ID NAMESPACE. Does what Istio's ztunnel does when it starts, with
// Istio's own messages, and writes what it understood to descriptor 3.
func ztunnel(args []string) {
	if len(args) != 7 {
		usage()
	}
	result := report{Addresses: map[string]json.RawMessage{}, Authorizations: map[string]json.RawMessage{}, Unknown: []string{}}
	connection, ctx := dialDiscovery(args[0], args[1], args[2])
	result.discover(ctx, connection, args[5], args[6])
	result.certify(ctx, connection, args[4])
	result.takePods(args[3])
	if err := json.NewEncoder(os.NewFile(3, "output")).Encode(result); err != nil {
		fail(err)
	}
}

func dialDiscovery(rootFile, tokenFile, address string) (*grpc.ClientConn, context.Context) {
	pem, err := os.ReadFile(rootFile)
	if err != nil {
		fail(err)
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		fail(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	if err != nil {
		fail(err)
	}
	ctx, _ := context.WithTimeout(context.Background(), 20*time.Second)
	authorized := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)), "clusterid", "Kubernetes")
	return connection, authorized
}

// discover takes the first state of both types, as ACKed.
func (r *report) discover(ctx context.Context, connection *grpc.ClientConn, node, namespace string) {
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(connection).DeltaAggregatedResources(ctx)
	if err != nil {
		fail(err)
	}
	meta, _ := structpb.NewStruct(map[string]any{"NAMESPACE": namespace})
	for _, typeURL := range []string{addressType, authorizationType} {
		request := &discovery.DeltaDiscoveryRequest{TypeUrl: typeURL, Node: &core.Node{Id: node, Metadata: meta}}
		if err := stream.Send(request); err != nil {
			fail(err)
		}
	}
	for seen := map[string]bool{}; len(seen) < 2; {
		response, err := stream.Recv()
		if err != nil {
			fail(err)
		}
		for _, resource := range response.Resources {
			switch response.TypeUrl {
			case addressType:
				r.Addresses[resource.Name] = r.read(resource, &workloadapi.Address{})
			case authorizationType:
				r.Authorizations[resource.Name] = r.read(resource, &authorization.Authorization{})
			}
		}
		seen[response.TypeUrl] = true
		if err := stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: response.TypeUrl, ResponseNonce: response.Nonce}); err != nil {
			fail(err)
		}
	}
}

func (r *report) read(resource *discovery.Resource, message proto.Message) json.RawMessage {
	if err := resource.Resource.UnmarshalTo(message); err != nil {
		fail(fmt.Errorf("%s: %w", resource.Name, err))
	}
	inner := message
	if address, ok := message.(*workloadapi.Address); ok {
		if workload := address.GetWorkload(); workload != nil {
			inner = workload
		} else {
			inner = address.GetService()
		}
	}
	if len(inner.ProtoReflect().GetUnknown()) > 0 {
		r.Unknown = append(r.Unknown, resource.Name)
	}
	// Extensions are of types that only their owners know: they are shown by name.
	strip(message)
	text, err := protojson.Marshal(message)
	if err != nil {
		fail(fmt.Errorf("%s: %w", resource.Name, err))
	}
	return text
}

func strip(message proto.Message) {
	clear := func(extensions []*workloadapi.Extension) {
		for _, extension := range extensions {
			extension.Config = nil
		}
	}
	switch typed := message.(type) {
	case *workloadapi.Address:
		clear(typed.GetWorkload().GetExtensions())
		clear(typed.GetService().GetExtensions())
	case *authorization.Authorization:
		clear(typed.GetExtensions())
	}
}

// certify asks the CA for the certificate of another identity of the node.
func (r *report) certify(ctx context.Context, connection *grpc.ClientConn, identity string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fail(err)
	}
	san, err := util.BuildSANExtension([]util.Identity{{Type: util.TypeURI, Value: []byte(identity)}})
	if err != nil {
		fail(err)
	}
	template := &x509.CertificateRequest{}
	template.ExtraExtensions = append(template.ExtraExtensions, *san)
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		fail(err)
	}
	meta, _ := structpb.NewStruct(map[string]any{"ImpersonatedIdentity": identity})
	answer, err := ca.NewIstioCertificateServiceClient(connection).CreateCertificate(ctx, &ca.IstioCertificateRequest{
		Csr:              string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
		ValidityDuration: 3600,
		Metadata:         meta,
	})
	if err != nil {
		fail(err)
	}
	chain := answer.CertChain
	if len(chain) < 2 {
		fail(errors.New("the chain has no root"))
	}
	leaf, err := util.ParsePemEncodedCertificate([]byte(chain[0]))
	if err != nil {
		fail(err)
	}
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	options.Roots.AppendCertsFromPEM([]byte(chain[len(chain)-1]))
	for _, one := range chain[1 : len(chain)-1] {
		options.Intermediates.AppendCertsFromPEM([]byte(one))
	}
	if _, err := leaf.Verify(options); err != nil {
		fail(err)
	}
	if r.Identities, err = util.ExtractIDs(leaf.Extensions); err != nil {
		fail(err)
	}
}

// takePods says hello as plain ZDS does, and acknowledges everything up to the end of the snapshot.
func (r *report) takePods(path string) {
	socket, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		fail(err)
	}
	defer socket.Close()
	socket.SetDeadline(time.Now().Add(10 * time.Second))
	send := func(message proto.Message) {
		bytes, err := proto.Marshal(message)
		if err != nil {
			fail(err)
		}
		if _, err := socket.Write(bytes); err != nil {
			fail(err)
		}
	}
	send(&zdsapi.ZdsHello{Version: zdsapi.Version_V1})
	// Istio's ztunnel reads with a buffer of this size, and takes a longer packet for an error.
	buffer, control := make([]byte, 1024), make([]byte, 128)
	for {
		count, controlCount, flags, _, err := socket.ReadMsgUnix(buffer, control)
		if err != nil {
			fail(err)
		}
		if flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0 {
			fail(errors.New("a packet of ZDS is too long"))
		}
		request := &zdsapi.WorkloadRequest{}
		if err := proto.Unmarshal(buffer[:count], request); err != nil {
			fail(err)
		}
		if len(request.ProtoReflect().GetUnknown()) > 0 || request.Payload == nil {
			fail(errors.New("a message of ZDS is not plain"))
		}
		if add := request.GetAdd(); add != nil {
			if len(add.WorkloadInfo.ProtoReflect().GetUnknown()) > 0 {
				r.Unknown = append(r.Unknown, "zds/"+add.Uid)
			}
			closeNamespace(control[:controlCount])
			r.Pods = append(r.Pods, add.WorkloadInfo.Namespace+"/"+add.WorkloadInfo.Name)
		}
		send(&zdsapi.WorkloadResponse{Payload: &zdsapi.WorkloadResponse_Ack{Ack: &zdsapi.Ack{}}})
		if request.GetSnapshotSent() != nil {
			return
		}
	}
}

// closeNamespace fails unless exactly one descriptor came.
func closeNamespace(control []byte) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 {
		fail(errors.New("an Add comes with one descriptor"))
	}
	descriptors, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(descriptors) != 1 {
		fail(errors.New("an Add comes with one descriptor"))
	}
	syscall.Close(descriptors[0])
}
