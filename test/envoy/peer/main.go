// Command peer is an external authorizer and a rate limit service with Envoy's own messages on grpc-go, and a gRPC client. They
// stand at the other end in Ambit's tests.
//
//	peer serve             listens on a free port of the loopback, prints it, and serves until its input ends
//	peer call ADDRESS      calls Check there: once, 200 times side by side, with a deadline and cancelled; prints what came of it
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
)

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		exitOn(serve())
	case len(os.Args) == 3 && os.Args[1] == "call":
		exitOn(call(os.Args[2]))
	default:
		fmt.Fprintln(os.Stderr, "usage: peer serve | peer call ADDRESS")
		os.Exit(2)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, &authorizer{})
	ratelimitv3.RegisterRateLimitServiceServer(server, &limiter{hits: map[string]uint32{}})
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	return server.Serve(listener)
}

// authorizer decides by the header x-ext-authz: allow, deny, redirect, fail or wait; it tells the application what it was asked. Of
// connections without HTTP it lets those pass that are for the server name db.example.
type authorizer struct {
	authv3.UnimplementedAuthorizationServer
}

func (*authorizer) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	if request.GetAttributes().GetRequest() == nil {
		return checkConnection(request.GetAttributes()), nil
	}
	headers := request.GetAttributes().GetRequest().GetHttp().GetHeaders()
	switch headers["x-ext-authz"] {
	case "allow":
		asked, err := protojson.Marshal(request)
		if err != nil {
			return nil, err
		}
		return &authv3.CheckResponse{
			Status: &status.Status{Code: int32(codes.OK)},
			HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
				Headers:              []*corev3.HeaderValueOption{option("x-asked", string(asked))},
				HeadersToRemove:      []string{"x-ext-authz"},
				ResponseHeadersToAdd: []*corev3.HeaderValueOption{option("x-checked", "yes")},
			}},
		}, nil
	case "redirect":
		return &authv3.CheckResponse{
			Status: &status.Status{Code: int32(codes.Unauthenticated), Message: "who are you"},
			HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status:  &typev3.HttpStatus{Code: typev3.StatusCode_Found},
				Headers: []*corev3.HeaderValueOption{option("location", "/login")},
				Body:    "go and log in",
			}},
		}, nil
	case "fail":
		return nil, grpcstatus.Error(codes.Internal, "no database: 100 % of it, Ünïcödé")
	case "wait":
		<-ctx.Done()
		return nil, grpcstatus.FromContextError(ctx.Err()).Err()
	default:
		return &authv3.CheckResponse{Status: &status.Status{Code: int32(codes.PermissionDenied), Message: "not you"}}, nil
	}
}

func checkConnection(attributes *authv3.AttributeContext) *authv3.CheckResponse {
	if attributes.GetTlsSession().GetSni() == "db.example" {
		return &authv3.CheckResponse{Status: &status.Status{Code: int32(codes.OK)}}
	}
	message := fmt.Sprintf("not %s to %s", attributes.GetSource().GetPrincipal(), attributes.GetDestination().GetAddress().GetSocketAddress())
	return &authv3.CheckResponse{Status: &status.Status{Code: int32(codes.PermissionDenied), Message: message}}
}

func option(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}}
}

// limiter lets three requests of each descriptor pass.
type limiter struct {
	ratelimitv3.UnimplementedRateLimitServiceServer
	mutex sync.Mutex
	hits  map[string]uint32
}

const allowed = 3

func (l *limiter) ShouldRateLimit(_ context.Context, request *ratelimitv3.RateLimitRequest) (*ratelimitv3.RateLimitResponse, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	response := &ratelimitv3.RateLimitResponse{OverallCode: ratelimitv3.RateLimitResponse_OK}
	for _, descriptor := range request.GetDescriptors() {
		key := request.GetDomain()
		for _, entry := range descriptor.GetEntries() {
			key += fmt.Sprintf("|%s=%s", entry.GetKey(), entry.GetValue())
		}
		l.hits[key]++
		result := &ratelimitv3.RateLimitResponse_DescriptorStatus{
			Code: ratelimitv3.RateLimitResponse_OK,
			CurrentLimit: &ratelimitv3.RateLimitResponse_RateLimit{
				RequestsPerUnit: allowed,
				Unit:            ratelimitv3.RateLimitResponse_RateLimit_MINUTE,
			},
			LimitRemaining:     allowed - min(allowed, l.hits[key]),
			DurationUntilReset: durationpb.New(42 * time.Second),
		}
		if l.hits[key] > allowed {
			result.Code = ratelimitv3.RateLimitResponse_OVER_LIMIT
			response.OverallCode = ratelimitv3.RateLimitResponse_OVER_LIMIT
		}
		response.Statuses = append(response.Statuses, result)
	}
	return response, nil
}

// call drives whatever answers Check at the address: a server behind Ambit's own HTTP/2.
func call(address string) error {
	connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := authv3.NewAuthorizationClient(connection)
	check := func(ctx context.Context, how string, path string) string {
		response, err := client.Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
				Headers: map[string]string{"x-ext-authz": how},
				Path:    path,
			}},
		}})
		if err != nil {
			return fmt.Sprintf("%s: %s", grpcstatus.Code(err), grpcstatus.Convert(err).Message())
		}
		return fmt.Sprintf("%d %s", response.GetStatus().GetCode(), response.GetOkResponse().GetHeaders()[0].GetHeader().GetValue())
	}
	ctx := context.Background()
	fmt.Println("once:", check(ctx, "allow", "/one"))
	long := strings.Repeat("x", 1<<20)
	fmt.Println("large:", check(ctx, "length", long))
	fmt.Println("failed:", check(ctx, "fail", "/"))
	fmt.Println("trailers only:", check(ctx, "trailers-only", "/"))

	var group sync.WaitGroup
	var mutex sync.Mutex
	good := 0
	for i := range 200 {
		group.Add(1)
		go func() {
			defer group.Done()
			path := fmt.Sprintf("/%d", i)
			if check(ctx, "allow", path) == "0 "+path {
				mutex.Lock()
				good++
				mutex.Unlock()
			}
		}()
	}
	group.Wait()
	fmt.Println("side by side:", good)

	late, cancelLate := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancelLate()
	fmt.Println("late:", strings.SplitN(check(late, "wait", "/"), ":", 2)[0])
	given, giveUp := context.WithCancel(ctx)
	time.AfterFunc(50*time.Millisecond, giveUp)
	fmt.Println("given up:", strings.SplitN(check(given, "wait", "/"), ":", 2)[0])
	fmt.Println("again:", check(ctx, "allow", "/two"))
	return nil
}
