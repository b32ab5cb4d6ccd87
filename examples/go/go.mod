module example.com/apilist

go 1.21
