// Command apilist lists what a Go package exports: as text, as JSON, or on a web page.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"example.com/apilist/internal/api"
	"example.com/apilist/internal/web"
)

func main() {
	asJSON := flag.Bool("json", false, "print JSON")
	address := flag.String("serve", "", "serve a web page at this `address` instead of printing")
	cert := flag.String("cert", "", "certificate `file`, to serve by HTTPS")
	key := flag.String("key", "", "key `file` of the certificate")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: apilist [flags] DIRECTORY")
		flag.PrintDefaults()
		os.Exit(2)
	}
	var err error
	if *address != "" {
		err = web.Serve(*address, flag.Arg(0), *cert, *key)
	} else {
		err = write(flag.Arg(0), *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "apilist:", err)
		os.Exit(1)
	}
}

func write(directory string, asJSON bool) error {
	pkg, err := api.Load(directory)
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(pkg)
	}
	return pkg.WriteText(os.Stdout)
}
