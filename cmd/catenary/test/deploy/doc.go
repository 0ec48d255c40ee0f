// Package deploy starts and stops catenary as production does: under systemd, with Rails as its child,
// behind nginx and HAProxy with the configurations of docs/deploy, one node after the other in a rolling
// restart, and with many nodes as in docs/scaling.md. It also tests what catenary reports when it
// cannot start.
//
//	go test ./cmd/catenary/test/deploy
//	go test ./cmd/catenary/test/deploy -run Rolling -args -rolling 2000    # as `make deploy-test`
package deploy
