require_relative "lib/catenary/rails/version"

Gem::Specification.new do |spec|
  spec.name = "catenary-rails"
  spec.version = Catenary::Rails::VERSION
  spec.authors = ["The catenary authors"]
  spec.summary = "Lets catenary serve the WebSockets of a Rails application"
  spec.description = "The Rails side of catenary, a server that takes over the WebSockets of Action Cable. " \
    "Runs the application's Connection and channels, unchanged, whenever their code must run."
  spec.homepage = "https://github.com/catenary-cable/catenary"
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.0"

  # script/release adds libexec/catenary, the binary, and its notices to gems for a platform.
  spec.files = Dir["lib/**/*.{rb,yml}", "exe/*", "libexec/*", "README.md", "LICENSE", "THIRD_PARTY_NOTICES.txt"]
  spec.bindir = "exe"
  spec.executables = ["catenary"]
  spec.add_dependency "actioncable", ">= 6.1"
  spec.add_dependency "activejob", ">= 6.1" # for its serializers
  spec.add_dependency "railties", ">= 6.1"
end
