// Package web shows what a Go package exports on a web page.
package web

import (
	"crypto/tls"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"example.com/apilist/internal/api"
)

var page = template.Must(template.New("page").Parse(`<!doctype html>
<title>{{.Name}}</title>
<h1>{{.Name}}</h1>
<p>{{.Synopsis}}</p>
<dl>
{{- range .Exports}}
  <dt><code>{{.Declaration}}</code></dt><dd>{{.Synopsis}}</dd>
{{- end}}
</dl>
`))

// Serve shows the package in a directory until it fails; by HTTPS where there is a certificate.
func Serve(address, directory, cert, key string) error {
	server := &http.Server{
		Addr:              address,
		Handler:           handler(directory),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS13},
	}
	slog.Info("serving", "address", address, "directory", directory)
	if cert != "" {
		return server.ListenAndServeTLS(cert, key)
	}
	return server.ListenAndServe()
}

func handler(directory string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		pkg, err := api.Load(directory)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if err := page.Execute(w, pkg); err != nil {
			slog.Error("page", "error", err)
		}
	})
}
