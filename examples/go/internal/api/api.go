// Package api finds out what a Go package exports.
package api

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"path/filepath"
	"strings"
)

// Package is a Go package as its users see it.
type Package struct {
	Name     string   `json:"name"`
	Synopsis string   `json:"synopsis"`
	Exports  []Export `json:"exports"`
}

// Export is a function, method or type.
type Export struct {
	Declaration string `json:"declaration"`
	Synopsis    string `json:"synopsis"`
}

// Load reads the package in a directory.
func Load(directory string) (*Package, error) {
	names, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no Go files in %s", directory)
	}
	parsed, err := doc.NewFromFiles(fset, files, directory)
	if err != nil {
		return nil, err
	}
	return &Package{Name: parsed.Name, Synopsis: parsed.Synopsis(parsed.Doc), Exports: exports(parsed)}, nil
}

func exports(pkg *doc.Package) []Export {
	var all []Export
	functions := func(list []*doc.Func) {
		for _, f := range list {
			all = append(all, Export{declaration(f.Decl), pkg.Synopsis(f.Doc)})
		}
	}
	functions(pkg.Funcs)
	for _, t := range pkg.Types {
		all = append(all, Export{"type " + t.Name, pkg.Synopsis(t.Doc)})
		functions(t.Funcs)
		functions(t.Methods)
	}
	return all
}

func declaration(f *ast.FuncDecl) string {
	signature := strings.TrimPrefix(types.ExprString(f.Type), "func")
	if f.Recv == nil {
		return "func " + f.Name.Name + signature
	}
	return "func (" + types.ExprString(f.Recv.List[0].Type) + ") " + f.Name.Name + signature
}

// WriteText writes one line for each export.
func (p *Package) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "package %s exports:\n", p.Name); err != nil {
		return err
	}
	for _, export := range p.Exports {
		if _, err := fmt.Fprintf(w, "  %s\n", export.Declaration); err != nil {
			return err
		}
	}
	return nil
}
