# Without Bundler: Debian's packages are on the load path already; catenary-rails is in this repository.
$LOAD_PATH.unshift File.expand_path("../../../rpc/rails/lib", __dir__)

require "logger"
